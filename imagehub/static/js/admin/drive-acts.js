// What is done with items of the drive: new folder, rename, move, delete; and each undone.

import { byId, get, getFocused, make } from "../dom.js";
import { t } from "../words.js";
import { confirmDialog } from "./dialog.js";
import { renameItem } from "./drive-rename.js";
import { FolderPicker } from "./folder-picker.js";
import { fetchJson } from "./http.js";
import { toast, toastError } from "./toast.js";

/** @import { OpenFolder } from "./drive-folder.js" */

const MAX_ITEMS = 10;
// What comes sooner needs no message that it is coming.
const QUICK_MS = 300;

export class Acts {
  #folder;
  #list;
  #urls;
  #isAsking = false;

  /** @param {OpenFolder} folder @param {DriveUrls} urls */
  constructor(folder, urls) {
    this.#folder = folder;
    this.#list = folder.list;
    this.#urls = urls;
    byId("new-folder").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#createFolder();
    });
  }

  /**
   * Send items a few at a time, and show how far it is. Return what was done, the answers, and the
   * error that ended it early.
   * @param {string} url @param {{ id: string }[]} subjects @param {Record<string, string>} fields
   * @param {string} progress name of the sentence that shows how far it is
   */
  async #sendEach(url, subjects, fields, progress) {
    /** @type {Item[]} */
    const done = [];
    /** @type {ActAnswer[]} */
    const answers = [];
    let error = null;
    for (let start = 0; start < subjects.length && !error; start += MAX_ITEMS) {
      const form = new FormData();
      for (const [name, value] of Object.entries(fields)) form.set(name, value);
      for (const { id } of subjects.slice(start, start + MAX_ITEMS)) form.append("item", id);
      try {
        /** @type {ActAnswer} */
        const answer = await fetchJson(url, { form });
        done.push(...answer.done);
        answers.push(answer);
        for (const { id } of answer.done) this.#folder.drop(id);
        this.#folder.draw();
        const next = start + MAX_ITEMS;
        if (next < subjects.length) {
          this.#folder.showState(t(progress, { done: next, all: subjects.length }));
        }
      } catch (thrown) {
        error = thrown;
      }
    }
    this.#tellFailed(answers.flatMap(({ failed }) => failed), "not_done");
    return { done, answers, error };
  }

  /**
   * @param {FailedItem[]} failed @param {string} sentence
   * @param {?{ url: string, words: string }} [link]
   */
  #tellFailed(failed, sentence, link = null) {
    for (const reason of new Set(failed.map((one) => one.reason))) {
      const count = failed.filter((one) => one.reason === reason).length;
      toast(t(sentence, { count, reason }), { link, isFault: true, seconds: 12 });
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    toastError(error);
    this.#folder.refreshQuietly();
  }

  // Ask one question at a time, however often its key is pressed until it is there.
  /** @param {Item[]} subjects @param {() => Promise<void>} ask */
  async #askOnce(subjects, ask) {
    if (this.#isAsking || !subjects.length) return;
    this.#isAsking = true;
    await ask().finally(() => (this.#isAsking = false));
  }

  // Move a lost focus to the place where the items were, if their folder is still open.
  /** @param {string} from @param {number} place */
  #restoreFocus(from, place) {
    if (this.#folder.id !== from) return;
    const focused = getFocused();
    if (focused === document.body || !focused.checkVisibility()) this.#folder.focusNear(place);
  }

  // --- New folder and new names ---

  async #createFolder() {
    const form = byId("new-folder");
    const field = byId("new-name", HTMLInputElement);
    const button = get(form, "button", HTMLButtonElement);
    const name = field.value.trim();
    if (!name) return;
    const from = this.#folder.id;
    // Whether the focus is in the form, or was in a part of it that is disabled.
    const hasFocus = () => form.contains(getFocused()) || getFocused() === document.body;
    button.disabled = true;
    try {
      /** @type {ActAnswer} */
      const { done } = await fetchJson(this.#urls.newFolder, { form: { folder: from, name } });
      if (field.value.trim() === name) field.value = "";
      const isHere = hasFocus();
      this.#folder.keep(done[0], from);
      this.#folder.draw();
      if (isHere) this.#list.focus(this.#list.findPlace(done[0].id));
      toast(t("folder_created", { name: done[0].name }));
    } catch (error) {
      toastError(error);
      if (hasFocus()) field.focus();
    } finally {
      button.disabled = false;
    }
  }

  /** @param {Item} row */
  rename(row) {
    renameItem(this.#folder, this.#urls.rename, row);
  }

  // --- Moving ---

  /** @param {Item[]} subjects @param {string} target id @param {string} targetName */
  async moveTo(subjects, target, targetName, from = this.#folder.id) {
    const place = this.#list.findPlace(subjects[0]?.id);
    const hadFocus = document.activeElement !== document.body;
    const way = { folder: from, target };
    const { done, error } = await this.#sendEach(this.#urls.move, subjects, way, "moving");
    if (hadFocus) this.#restoreFocus(from, place);
    if (done.length) {
      const undo = async () => {
        const back = { folder: target, target: from };
        const undone = await this.#sendEach(this.#urls.move, done, back, "moving_back");
        await this.#folder.refresh();
        if (undone.error) throw undone.error;
      };
      toast(t("items_moved", { count: done.length, folder: targetName }), { undo });
    }
    if (error) this.#fail(error);
    else if (this.#folder.id === target || this.#folder.items.has(target)) {
      this.#folder.refreshQuietly();
    }
  }

  /** @param {Item[]} subjects */
  move(subjects) {
    return this.#askOnce(subjects, () => this.#askMove(subjects));
  }

  /** @param {Item[]} subjects */
  async #askMove(subjects) {
    const from = this.#folder.id;
    const picker = new FolderPicker(this.#urls.folders, new Set(subjects.map(({ id }) => id)));
    try {
      await picker.open(from);
    } catch (error) {
      toastError(error);
      return;
    }
    if (this.#folder.id !== from) return;
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
    else await this.moveTo(subjects, id, names[names.length - 1], from);
  }

  // --- Deleting ---

  /** @param {Item[]} subjects */
  remove(subjects) {
    return this.#askOnce(subjects, () => this.#askRemove(subjects));
  }

  /** @param {Item[]} subjects */
  async #askRemove(subjects) {
    const from = this.#folder.id;
    const plan = await this.#planRemoval(from, subjects);
    if (!plan || this.#folder.id !== from) return;
    const [{ id, name }] = subjects;
    const count = subjects.length;
    const agreed = await confirmDialog({
      title: count === 1 ? t("delete_item_ask", { name }) : t("delete_items_ask", { count }),
      body: describePlan(plan),
      confirm: t("delete"),
      isDanger: true,
    });
    if (!agreed) return;
    const place = this.#list.findPlace(id);
    const fields = { folder: from, sure: "yes" };
    const url = this.#urls.delete;
    const { done, answers, error } = await this.#sendEach(url, subjects, fields, "deleting");
    if (done.length) this.#tellDeleted(done.length, answers);
    this.#restoreFocus(from, place);
    if (error) this.#fail(error);
  }

  /**
   * @param {string} folder @param {Item[]} subjects
   * @returns {Promise<?DeletionPlan>} null where it failed
   */
  async #planRemoval(folder, subjects) {
    const timer = setTimeout(() => {
      if (this.#folder.id === folder) this.#folder.showState(t("counting"));
    }, QUICK_MS);
    try {
      const json = { folder, items: subjects.map(({ id }) => id) };
      return await fetchJson(this.#urls.planDelete, { json });
    } catch (error) {
      toastError(error);
      return null;
    } finally {
      clearTimeout(timer);
      this.#folder.draw();
    }
  }

  /** @param {number} count @param {ActAnswer[]} answers */
  #tellDeleted(count, answers) {
    const { url = "", days = 0 } = answers[0].bin ?? {};
    const words = t(days ? "items_deleted_days" : "items_deleted", { count, days });
    const marks = answers.flatMap(({ deletion }) => deletion || []);
    const link = url ? { url, words: t("open_recycle_bin") } : null;
    const undo = marks.length ? () => this.#restore(marks, link) : null;
    toast(words, { link, undo, seconds: 15 });
  }

  /** @param {string[]} marks @param {?{ url: string, words: string }} link */
  async #restore(marks, link) {
    /** @type {FailedItem[]} */
    const failed = [];
    let count = 0;
    for (const deletion of marks) {
      /** @type {ActAnswer} */
      const answer = await fetchJson(this.#urls.restore, { form: { deletion } });
      count += answer.done.length;
      failed.push(...answer.failed);
    }
    if (count) {
      await this.#folder.refresh();
      toast(t("items_restored", { count }));
    }
    this.#tellFailed(failed, "not_restored", link);
  }
}

/** @param {DeletionPlan} plan */
function describePlan({ sentences, groups }) {
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
