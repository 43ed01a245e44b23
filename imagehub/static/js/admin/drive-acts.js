// What is done with items of the drive: new folder, rename, move, delete; and each undone.

import { byId, get, getFocused, make } from "../dom.js";
import { t } from "../words.js";
import { confirmDialog } from "./dialog.js";
import * as folder from "./drive-folder.js";
import * as list from "./drive-list.js";
import { FolderPicker } from "./folder-picker.js";
import { fetchJson, getMessage } from "./http.js";
import { toast, toastError } from "./toast.js";

/** @import { ToastLink } from "./toast.js" */

const MAX_ITEMS = 10;
// What comes sooner needs no message that it is coming.
const QUICK_MS = 300;

let isAsking = false;

/** Send items a few at a time, and show how far it is. Return what was done, the answers, and the
 * error that ended it early.
 * @param {string} url @param {{ id: string }[]} subjects @param {Record<string, string>} fields
 * @param {string} progress name of the sentence that shows how far it is */
async function sendEach(url, subjects, fields, progress) {
  const answers = /** @type {ActAnswer[]} */ ([]);
  let error = null;
  for (let start = 0; start < subjects.length && !error; start += MAX_ITEMS) {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    for (const { id } of subjects.slice(start, start + MAX_ITEMS)) form.append("item", id);
    try {
      const answer = /** @type {ActAnswer} */ (await fetchJson(url, { form }));
      answers.push(answer);
      for (const { id } of answer.done) folder.drop(id);
      folder.draw();
      const next = start + MAX_ITEMS;
      if (next < subjects.length) {
        folder.showState(t(progress, { done: next, all: subjects.length }));
      }
    } catch (thrown) {
      error = thrown;
    }
  }
  tellFailed(answers.flatMap(({ failed }) => failed), "not_done");
  return { done: answers.flatMap(({ done }) => done), answers, error };
}

/** @param {FailedItem[]} failed @param {string} sentence @param {ToastLink} [link] */
function tellFailed(failed, sentence, link = null) {
  for (const reason of new Set(failed.map((one) => one.reason))) {
    const count = failed.filter((one) => one.reason === reason).length;
    toast(t(sentence, { count, reason }), { link, isFault: true, seconds: 12 });
  }
}

function fail(/** @type {unknown} */ error) {
  toastError(error);
  folder.refreshQuietly();
}

/** Ask one question at a time, however often its key is pressed until it is there. */
async function askOnce(/** @type {Item[]} */ subjects, /** @type {() => Promise<void>} */ ask) {
  if (isAsking || !subjects.length) return;
  isAsking = true;
  await ask().finally(() => (isAsking = false));
}

/** Move a lost focus to the place where the items were, if their folder is still open. */
function restoreFocus(/** @type {string} */ from, /** @type {number} */ place) {
  if (folder.facts.id !== from) return;
  const focused = getFocused();
  if (focused === document.body || !focused.checkVisibility()) folder.focusNear(place);
}

// --- New folder and new names ---

const newFolder = byId("new-folder-box", HTMLDetailsElement);

export function openNewFolder() {
  newFolder.open = true;
  byId("new-name").focus();
}

newFolder.addEventListener("toggle", () => newFolder.open && byId("new-name").focus());
newFolder.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !newFolder.open) return;
  newFolder.open = false;
  get(newFolder, "summary").focus();
});
addEventListener("pointerdown", ({ target }) => {
  const isOutside = target instanceof Node && !newFolder.contains(target);
  if (isOutside && !byId("new-name", HTMLInputElement).value) newFolder.open = false;
});

byId("new-folder").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = byId("new-folder");
  const field = byId("new-name", HTMLInputElement);
  const button = get(form, "button", HTMLButtonElement);
  const name = field.value.trim();
  if (!name) return;
  const from = folder.facts.id;
  // Whether the focus is in the form, or was in a part of it that is disabled.
  const hasFocus = () => form.contains(getFocused()) || getFocused() === document.body;
  button.disabled = true;
  newFolder.open = false;
  try {
    const { done } = await fetchJson(folder.urls.newFolder, { form: { folder: from, name } });
    if (field.value.trim() === name) field.value = "";
    const isHere = hasFocus();
    folder.keep(done[0], from);
    folder.draw();
    if (isHere) list.focus(list.findPlace(done[0].id));
    toast(t("folder_created", { name: done[0].name }));
  } catch (error) {
    toastError(error);
    if (hasFocus()) openNewFolder();
  } finally {
    button.disabled = false;
  }
});

/** Rename an item in its place: its name becomes a field. @param {Item} row */
export function rename(row) {
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

  function close(/** @type {boolean} */ takesFocus) {
    isOver = true;
    field.remove();
    fault.remove();
    link.hidden = false;
    if (takesFocus) link.focus();
  }

  async function save(/** @type {boolean} */ takesFocus) {
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

  function refuse(/** @type {string} */ reason) {
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

// --- Moving ---

/** @param {Item[]} subjects @param {string} target id @param {string} targetName */
export async function moveTo(subjects, target, targetName, from = folder.facts.id) {
  const place = list.findPlace(subjects[0]?.id);
  const hadFocus = document.activeElement !== document.body;
  const way = { folder: from, target };
  const { done, error } = await sendEach(folder.urls.move, subjects, way, "moving");
  if (hadFocus) restoreFocus(from, place);
  if (done.length) {
    const undo = async () => {
      const back = { folder: target, target: from };
      const undone = await sendEach(folder.urls.move, done, back, "moving_back");
      await folder.refresh();
      if (undone.error) throw undone.error;
    };
    toast(t("items_moved", { count: done.length, folder: targetName }), { undo });
  }
  if (error) fail(error);
  else if (folder.facts.id === target || folder.items.has(target)) folder.refreshQuietly();
}

export const move = (/** @type {Item[]} */ subjects) => askOnce(subjects, () => askMove(subjects));

async function askMove(/** @type {Item[]} */ subjects) {
  const from = folder.facts.id;
  const picker = new FolderPicker(new Set(subjects.map(({ id }) => id)));
  try {
    await picker.open(from);
  } catch (error) {
    toastError(error);
    return;
  }
  if (folder.facts.id !== from) return;
  const agreed = await confirmDialog({
    title: t("move_items_ask", { count: subjects.length }),
    body: picker.body,
    confirm: t("move_here"),
  });
  if (!agreed) return;
  try {
    await picker.whenOpen;
  } catch {
    return; // It is shown already why the folder could not be opened.
  }
  if (!picker.target) return;
  const { id, names } = picker.target;
  if (id === from) toast(t("already_there"));
  else await moveTo(subjects, id, names[names.length - 1], from);
}

// --- Deleting ---

/** @param {Item[]} subjects */
export const remove = (subjects) => askOnce(subjects, () => askRemove(subjects));

async function askRemove(/** @type {Item[]} */ subjects) {
  const from = folder.facts.id;
  const plan = await planRemoval(from, subjects);
  if (!plan || folder.facts.id !== from) return;
  const [{ id, name }] = subjects;
  const count = subjects.length;
  const agreed = await confirmDialog({
    title: count === 1 ? t("delete_item_ask", { name }) : t("delete_items_ask", { count }),
    body: describePlan(plan),
    confirm: t("delete"),
    isDanger: true,
  });
  if (!agreed) return;
  const place = list.findPlace(id);
  const fields = { folder: from, sure: "yes" };
  const url = folder.urls.delete;
  const { done, answers, error } = await sendEach(url, subjects, fields, "deleting");
  if (done.length) tellDeleted(done.length, answers);
  restoreFocus(from, place);
  if (error) fail(error);
}

/** @param {string} from @param {Item[]} subjects @returns {Promise<?DeletionPlan>} */
async function planRemoval(from, subjects) {
  const timer = setTimeout(() => {
    if (folder.facts.id === from) folder.showState(t("counting"));
  }, QUICK_MS);
  try {
    const json = { folder: from, items: subjects.map(({ id }) => id) };
    return await fetchJson(folder.urls.planDelete, { json });
  } catch (error) {
    toastError(error);
    return null;
  } finally {
    clearTimeout(timer);
    folder.draw();
  }
}

function tellDeleted(/** @type {number} */ count, /** @type {ActAnswer[]} */ answers) {
  const { url = "", days = 0 } = answers[0].bin ?? {};
  const words = t(days ? "items_deleted_days" : "items_deleted", { count, days });
  const marks = answers.flatMap(({ deletion }) => deletion || []);
  const link = url ? { url, words: t("open_recycle_bin") } : null;
  const undo = marks.length ? () => restore(marks, link) : null;
  toast(words, { link, undo, seconds: 15 });
}

async function restore(/** @type {string[]} */ marks, /** @type {ToastLink} */ link) {
  const failed = /** @type {FailedItem[]} */ ([]);
  let count = 0;
  for (const deletion of marks) {
    /** @type {ActAnswer} */
    const answer = await fetchJson(folder.urls.restore, { form: { deletion } });
    count += answer.done.length;
    failed.push(...answer.failed);
  }
  if (count) {
    await folder.refresh();
    toast(t("items_restored", { count }));
  }
  tellFailed(failed, "not_restored", link);
}

function describePlan(/** @type {DeletionPlan} */ { sentences, groups }) {
  const body = make("div", {}, ...sentences.map((sentence) => make("p", {}, sentence)));
  if (!groups.length) return body;
  const rows = groups.map(({ title, url, images, shown }) => {
    const link = { href: url, target: "_blank", rel: "noopener", dir: "auto" };
    const name = url ? make("a", link, title) : make("span", { dir: "auto" }, title);
    const words = t(shown ? "images" : "images_of_draft", { count: images });
    return make("li", {}, name, `, ${words}`);
  });
  body.append(make("ul", { className: "drive-names" }, ...rows));
  return body;
}
