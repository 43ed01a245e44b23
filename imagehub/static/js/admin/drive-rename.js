// Renames an item in its place: its name becomes a field.

import { get, make } from "../dom.js";
import { t } from "../words.js";
import * as folder from "./drive-folder.js";
import * as list from "./drive-list.js";
import { fetchJson, getMessage } from "./http.js";
import { toast } from "./toast.js";

/** @param {Item} row */
export function renameItem(row) {
  const from = folder.facts.id;
  list.focus(list.findPlace(row.id));
  const element = list.getElement(row.id);
  if (!element || element.querySelector(".item-edit")) return;
  const link = get(element, ".item-name");
  const field = make("input", { className: "item-edit", value: row.name, maxLength: 255 });
  const ariaLabel = t("new_name_of", { name: row.name });
  Object.assign(field, { ariaLabel, dir: "auto", autocomplete: "off" });
  const fault = make("span", { className: "fault item-fault", role: "alert" });
  link.hidden = true;
  link.after(field, fault);
  field.focus();
  const stem = row.is_folder ? -1 : row.name.lastIndexOf(".");
  field.setSelectionRange(0, stem > 0 ? stem : row.name.length);
  let isOver = false;

  /** @param {boolean} takesFocus */
  function close(takesFocus) {
    isOver = true;
    field.remove();
    fault.remove();
    link.hidden = false;
    if (takesFocus) link.focus();
  }

  /** @param {boolean} takesFocus */
  async function save(takesFocus) {
    const name = field.value.trim();
    if (isOver) return;
    if (!name || name === row.name) {
      close(takesFocus);
      return;
    }
    isOver = true;
    field.readOnly = true;
    try {
      const { item, oldName } = await send(name);
      const hasFocus = document.activeElement === field;
      close(hasFocus);
      folder.draw();
      if (hasFocus && takesFocus) list.focus(list.findPlace(row.id));
      const undo = async () => {
        await send(oldName);
        folder.draw();
      };
      toast(t("renamed", { old_name: oldName, name: item.name }), { undo });
    } catch (error) {
      refuse(getMessage(error));
    }
  }

  /** @param {string} name @returns {Promise<{ item: Item, oldName: string }>} */
  async function send(name) {
    const form = { item: row.id, folder: from, name };
    const { done, old_name: oldName } = await fetchJson(folder.urls.rename, { form });
    folder.keep(done[0], from);
    return { item: done[0], oldName };
  }

  /** @param {string} reason */
  function refuse(reason) {
    // Where the person has gone on, the field is gone too, and does not open again.
    if (!field.isConnected) {
      toast(t("not_renamed", { name: row.name, reason }), { isFault: true });
      return;
    }
    isOver = false;
    field.readOnly = false;
    field.ariaInvalid = "true";
    fault.textContent = reason;
    const { activeElement } = document;
    if (activeElement === document.body || element?.contains(activeElement)) field.focus();
  }

  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    if (event.key === "Enter") save(true);
    else close(true);
  });
  field.addEventListener("blur", () => save(false));
}
