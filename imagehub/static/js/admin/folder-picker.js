// Goes through the folders of the drive to select one.

import { find, icon, make } from "../dom.js";
import { t } from "../words.js";
import { urls } from "./drive-folder.js";
import { fetchJson } from "./http.js";
import { toastError } from "./toast.js";

export class FolderPicker {
  /** @type {?OpenedFolder} the folder that is open */
  target = null;
  /** @type {?Promise<void>} settles when the folder is open that was selected last */
  whenOpen = null;

  #moving;
  #count = 0;
  #place = make("p", { dir: "auto" });
  #choices = make("ul", { className: "picker", tabIndex: -1 });
  body = make("div", { className: "picker-body" }, this.#place, this.#choices);

  /** @param {Set<string>} moving ids of folders that cannot be selected */
  constructor(moving) {
    this.#moving = moving;
  }

  open(/** @type {string} */ id) {
    return (this.whenOpen = this.#open(id));
  }

  async #open(/** @type {string} */ id) {
    const number = ++this.#count;
    const url = `${urls.folders}?folder=${encodeURIComponent(id)}`;
    const folder = /** @type {OpenedFolder} */ (await fetchJson(url));
    if (number !== this.#count) return;
    this.target = folder;
    this.#place.textContent = folder.names.join(" / ");
    const rows = folder.folders
      .filter((one) => !this.#moving.has(one.id))
      .map((one) => this.#makeRow("folder", one.name, one.id));
    if (folder.parent) rows.unshift(this.#makeRow("arrow-up", t("parent_folder"), folder.parent));
    const hadFocus = this.#choices.contains(document.activeElement);
    this.#choices.replaceChildren(...rows);
    if (!rows.length) this.#choices.textContent = t("no_folders");
    if (hadFocus) (find(this.#choices, "button") ?? this.#choices).focus();
  }

  #makeRow(/** @type {string} */ symbol, /** @type {string} */ label, /** @type {string} */ id) {
    const onclick = () => this.open(id).catch(toastError);
    const properties = { className: "plain", dir: "auto", onclick };
    const button = make("button", { type: "button", ...properties }, icon(symbol), ` ${label}`);
    return make("li", {}, button);
  }
}
