// What is done with items of the drive: new folder, rename, move, delete, and each taken back.

import { confirmDialog, icon, toast } from "./common.js";
import { fetchJson } from "./http.js";
import { describeCount } from "./words.js";

const ITEMS_A_CALL = 10;
// What comes sooner needs no word that it is coming.
const QUICK_MS = 300;

const $ = (id) => document.getElementById(id);

export class Acts {
  #folder;
  #list;
  #urls;
  #isAsking = false;

  constructor(folder, urls) {
    this.#folder = folder;
    this.#list = folder.list;
    this.#urls = urls;
    $("new-folder").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#createFolder(event.target.querySelector("button"));
    });
  }

  // Sends items a few at a time, and says how far it is where there are many. Answers what was
  // done, with what each answer said besides, and the error that ended it before its end.
  async #sendEach(url, subjects, fields, verb) {
    const outcome = { done: [], answers: [], error: null };
    const failed = [];
    for (let start = 0; start < subjects.length; start += ITEMS_A_CALL) {
      const form = new FormData();
      for (const [name, value] of Object.entries(fields)) form.set(name, value);
      for (const { id } of subjects.slice(start, start + ITEMS_A_CALL)) form.append("item", id);
      let answer;
      try {
        answer = await fetchJson(url, { form });
      } catch (error) {
        outcome.error = error;
        break;
      }
      outcome.done.push(...answer.done);
      outcome.answers.push(answer);
      failed.push(...answer.failed);
      for (const { id } of answer.done) this.#folder.drop(id);
      this.#folder.draw();
      const next = start + ITEMS_A_CALL;
      if (next < subjects.length) {
        const [sent, all] = [next, subjects.length].map((count) => count.toLocaleString("en"));
        $("drive-state").textContent = `${verb} ${sent} of ${all}`;
      }
    }
    this.#tellFailed(failed);
    return outcome;
  }

  #tellFailed(failed, what = "stayed", link = null) {
    for (const reason of new Set(failed.map((one) => one.reason))) {
      const count = failed.filter((one) => one.reason === reason).length;
      const words = `${describeCount(count, "item")} ${what}: ${reason}`;
      toast(words, { link, isFault: true, seconds: 12 });
    }
  }

  #fail(error) {
    toast(error.message, { isFault: true });
    this.#folder.refresh().catch(() => {});
  }

  // One question at a time, however often its key is pressed until it is there.
  async #askOnce(ask) {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      await ask();
    } finally {
      this.#isAsking = false;
    }
  }

  // Brings a focus that is lost, in the folder where it was, to the place where the items were.
  #recover(from, place) {
    if (this.#folder.id !== from) return;
    const focus = document.activeElement;
    if (focus === document.body || !focus?.checkVisibility()) this.#folder.focusNear(place);
  }

  // --- New folder and new names ---

  async #createFolder(button) {
    const name = $("new-name").value.trim();
    if (!name) return;
    const from = this.#folder.id;
    button.disabled = true;
    try {
      const { done } = await fetchJson(this.#urls.newFolder, { form: { folder: from, name } });
      if ($("new-name").value.trim() === name) $("new-name").value = "";
      const isHere = isFocusIn($("new-folder"));
      this.#folder.keep(done[0], from);
      this.#folder.draw();
      if (isHere) this.#list.focus(this.#list.findPlace(done[0].id));
      toast(`The folder “${done[0].name}” was made.`);
    } catch (error) {
      toast(error.message, { isFault: true });
      if (isFocusIn($("new-folder"))) $("new-name").focus();
    } finally {
      button.disabled = false;
    }
  }

  // Answers the item, and what it was called before.
  async #sendName(row, name, folder) {
    const { done, old_name: oldName } = await fetchJson(this.#urls.rename, {
      form: { item: row.id, folder, name },
    });
    this.#folder.keep(done[0], folder);
    return { item: done[0], oldName };
  }

  // Lets the name be written in its place.
  rename(row) {
    this.#list.focus(this.#list.findPlace(row.id));
    const element = this.#list.getElement(row.id);
    if (!element || element.querySelector(".item-edit")) return;
    const from = this.#folder.id;
    const link = element.querySelector(".item-name");
    const field = document.createElement("input");
    field.className = "item-edit";
    field.value = row.name;
    field.maxLength = 255;
    field.dir = "auto";
    field.autocomplete = "off";
    field.setAttribute("aria-label", `New name of ${row.name}`);
    const fault = document.createElement("span");
    fault.className = "fault item-fault";
    fault.setAttribute("role", "alert");
    link.hidden = true;
    link.after(field, fault);
    field.focus();
    const stem = row.is_folder ? -1 : row.name.lastIndexOf(".");
    field.setSelectionRange(0, stem > 0 ? stem : row.name.length);
    let isOver = false;
    const finish = (isBack) => {
      isOver = true;
      field.remove();
      fault.remove();
      link.hidden = false;
      if (isBack) link.focus();
    };
    const save = async (isBack) => {
      const name = field.value.trim();
      if (isOver) return;
      if (!name || name === row.name) {
        finish(isBack);
        return;
      }
      isOver = true;
      field.readOnly = true;
      try {
        const { item, oldName } = await this.#sendName(row, name, from);
        const hasFocus = document.activeElement === field;
        finish(hasFocus);
        this.#folder.draw();
        if (hasFocus && isBack) this.#list.focus(this.#list.findPlace(row.id));
        toast(`“${oldName}” is called “${item.name}” now.`, {
          undo: async () => {
            await this.#sendName(row, oldName, from);
            this.#folder.draw();
          },
        });
      } catch (error) {
        // Where the person has gone on, the field is gone too, and is not opened again.
        if (!field.isConnected) {
          toast(`“${row.name}” keeps its name: ${error.message}`, { isFault: true });
          return;
        }
        isOver = false;
        field.readOnly = false;
        field.setAttribute("aria-invalid", "true");
        fault.textContent = error.message;
        if (isFocusIn(field.closest(".item"))) field.focus();
      }
    };
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") {
        event.preventDefault();
        save(true);
      } else if (event.key === "Escape") {
        event.preventDefault();
        finish(true);
      }
    });
    field.addEventListener("blur", () => save(false));
  }

  // --- Moving ---

  async moveTo(subjects, target, targetName, from = this.#folder.id) {
    const place = this.#list.findPlace(subjects[0]?.id);
    const hadFocus = document.activeElement !== document.body;
    const way = { folder: from, target };
    const { done, error } = await this.#sendEach(this.#urls.move, subjects, way, "Moving");
    if (hadFocus) this.#recover(from, place);
    if (done.length) {
      toast(`${describeCount(done.length, "item was", "items were")} moved to “${targetName}”.`, {
        undo: async () => {
          const back = { folder: target, target: from };
          const undone = await this.#sendEach(this.#urls.move, done, back, "Moving back");
          await this.#folder.refresh();
          if (undone.error) throw undone.error;
        },
      });
    }
    if (error) this.#fail(error);
    else if (this.#folder.id === target || this.#folder.items.has(target)) {
      this.#folder.refresh().catch(() => {});
    }
  }

  move(subjects) {
    return this.#askOnce(() => this.#askMove(subjects));
  }

  async #askMove(subjects) {
    if (!subjects.length) return;
    const from = this.#folder.id;
    const picker = new FolderPicker(this.#urls, new Set(subjects.map(({ id }) => id)));
    try {
      await picker.look(from);
    } catch (error) {
      toast(error.message, { isFault: true });
      return;
    }
    if (this.#folder.id !== from) return;
    const agreed = await confirmDialog({
      title: `Move ${describeCount(subjects.length, "item")} to`,
      body: picker.body,
      confirm: "Move here",
    });
    if (!agreed) return;
    try {
      await picker.whenOpen;
    } catch {
      return; // Why the folder that was chosen last could not be opened is said already.
    }
    const { id, names } = picker.target;
    if (id === from) toast("That is where they are already.");
    else await this.moveTo(subjects, id, names.at(-1), from);
  }

  // --- Deleting ---

  remove(subjects) {
    return this.#askOnce(() => this.#askRemove(subjects));
  }

  async #askRemove(subjects) {
    if (!subjects.length) return;
    const from = this.#folder.id;
    let plan;
    const timer = setTimeout(() => {
      if (this.#folder.id === from) $("drive-state").textContent = "Counting what would go …";
    }, QUICK_MS);
    try {
      const json = { folder: from, items: subjects.map(({ id }) => id) };
      plan = await fetchJson(this.#urls.planDelete, { json });
    } catch (error) {
      toast(error.message, { isFault: true });
      return;
    } finally {
      clearTimeout(timer);
      this.#folder.draw();
    }
    if (this.#folder.id !== from) return;
    const what =
      subjects.length === 1 ? `“${subjects[0].name}”` : describeCount(subjects.length, "item");
    const agreed = await confirmDialog({
      title: `Delete ${what}?`,
      body: describePlan(plan),
      confirm: "Delete",
      isDanger: true,
    });
    if (!agreed) return;
    const place = this.#list.findPlace(subjects[0].id);
    const fields = { folder: from, sure: "yes" };
    const { done, answers, error } = await this.#sendEach(
      this.#urls.delete,
      subjects,
      fields,
      "Deleting",
    );
    if (done.length) this.#tellDeleted(done.length, answers);
    this.#recover(from, place);
    if (error) this.#fail(error);
  }

  #tellDeleted(count, answers) {
    const { url, days } = answers[0].bin;
    const is = describeCount(count, "item is", "items are");
    const words = `${is} in OneDrive’s recycle bin now${days ? `, for ${days} days` : ""}.`;
    const marks = answers.map((answer) => answer.deletion).filter(Boolean);
    const link = url ? { url, words: "Open it" } : null;
    const undo = marks.length ? () => this.#restore(marks, link) : null;
    toast(words, { link, undo, seconds: 15 });
  }

  async #restore(marks, link) {
    const failed = [];
    let count = 0;
    for (const mark of marks) {
      const answer = await fetchJson(this.#urls.restore, { form: { deletion: mark } });
      count += answer.done.length;
      failed.push(...answer.failed);
    }
    if (count) await this.#folder.refresh();
    if (count) toast(`${describeCount(count, "item is", "items are")} back.`);
    this.#tellFailed(failed, "stayed in the recycle bin", link);
  }
}

// Whether the focus is in there, or in nothing at all.
function isFocusIn(element) {
  const focus = document.activeElement;
  return focus === document.body || element.contains(focus);
}

function describePlan({ sentences, groups }) {
  const body = document.createElement("div");
  for (const sentence of sentences) {
    const words = document.createElement("p");
    words.textContent = sentence;
    body.append(words);
  }
  if (!groups.length) return body;
  const list = document.createElement("ul");
  list.className = "drive-names";
  for (const { title, url, images, shown } of groups) {
    const row = document.createElement("li");
    const name = document.createElement(url ? "a" : "span");
    if (url) Object.assign(name, { href: url, target: "_blank", rel: "noopener" });
    name.textContent = title;
    name.dir = "auto";
    row.append(name, `, ${describeCount(images, "image")}${shown ? "" : ", draft"}`);
    list.append(row);
  }
  body.append(list);
  return body;
}

// Goes through the folders of the drive; `target` is the one that is open, and `whenOpen` waits for
// the one that was chosen last.
class FolderPicker {
  target = null;
  whenOpen = null;
  body = document.createElement("div");

  #urls;
  #moving;
  #place = document.createElement("p");
  #choices = document.createElement("ul");

  constructor(urls, moving) {
    this.#urls = urls;
    this.#moving = moving;
    this.body.className = "picker-body";
    this.#place.dir = "auto";
    this.#choices.className = "picker";
    this.#choices.tabIndex = -1;
    this.body.append(this.#place, this.#choices);
  }

  look(id) {
    const opening = this.#open(id, () => opening === this.whenOpen);
    this.whenOpen = opening;
    return opening;
  }

  async #open(id, isWanted) {
    const choice = await fetchJson(`${this.#urls.folders}?folder=${encodeURIComponent(id)}`);
    if (!isWanted()) return;
    this.target = choice;
    this.#place.textContent = choice.names.join(" / ");
    const rows = [];
    if (choice.parent) rows.push(this.#make("arrow-up", "The folder above", choice.parent));
    for (const one of choice.folders) {
      if (!this.#moving.has(one.id)) rows.push(this.#make("folder", one.name, one.id));
    }
    const hadFocus = this.#choices.contains(document.activeElement);
    this.#choices.replaceChildren(...rows);
    if (!rows.length) this.#choices.textContent = "There are no folders in here.";
    if (hadFocus) (this.#choices.querySelector("button") ?? this.#choices).focus();
  }

  #make(symbol, label, to) {
    const row = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.dir = "auto";
    button.append(icon(symbol), ` ${label}`);
    button.addEventListener("click", () => {
      this.look(to).catch((error) => toast(error.message, { isFault: true }));
    });
    row.append(button);
    return row;
  }
}
