// What is done with items of the drive: new folder, rename, move, delete, and each taken back.

import { confirmDialog, fetchJson, icon, toast } from "./common.js";
import { describeCount } from "./words.js";

const ITEMS_A_CALL = 10;

const $ = (id) => document.getElementById(id);

export class Acts {
  #folder;
  #list;
  #urls;

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
  // done, with what each answer said besides.
  async #sendEach(url, subjects, fields, verb) {
    const outcome = { done: [], answers: [] };
    const failed = [];
    for (let start = 0; start < subjects.length; start += ITEMS_A_CALL) {
      const form = new FormData();
      for (const [name, value] of Object.entries(fields)) form.set(name, value);
      for (const { id } of subjects.slice(start, start + ITEMS_A_CALL)) form.append("item", id);
      const answer = await fetchJson(url, { form });
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

  // --- New folder and new names ---

  async #createFolder(button) {
    const name = $("new-name").value.trim();
    if (!name) return;
    button.disabled = true;
    try {
      const { done } = await fetchJson(this.#urls.newFolder, {
        form: { folder: this.#folder.id, name },
      });
      this.#folder.keep(done[0]);
      $("new-name").value = "";
      this.#folder.draw();
      this.#list.focus(this.#list.findPlace(done[0].id));
      toast(`The folder “${done[0].name}” was made.`);
    } catch (error) {
      toast(error.message, { isFault: true });
      $("new-name").focus();
    } finally {
      button.disabled = false;
    }
  }

  async #sendName(row, name) {
    const { done, old_name: oldName } = await fetchJson(this.#urls.rename, {
      form: { item: row.id, folder: this.#folder.id, name },
    });
    this.#folder.keep(done[0]);
    this.#folder.draw();
    return oldName;
  }

  // Lets the name be written in its place.
  rename(row) {
    this.#list.focus(this.#list.findPlace(row.id));
    const element = this.#list.getElement(row.id);
    if (!element || element.querySelector(".item-edit")) return;
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
        const oldName = await this.#sendName(row, name);
        finish(false);
        this.#folder.draw();
        if (isBack) this.#list.focus(this.#list.findPlace(row.id));
        const newName = this.#folder.items.get(row.id)?.name ?? name;
        toast(`“${oldName}” is called “${newName}” now.`, {
          undo: () => this.#sendName(row, oldName),
        });
      } catch (error) {
        isOver = false;
        field.readOnly = false;
        field.setAttribute("aria-invalid", "true");
        fault.textContent = error.message;
        field.focus();
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

  async moveTo(subjects, target, targetName) {
    const from = this.#folder.id;
    try {
      const { done } = await this.#sendEach(
        this.#urls.move,
        subjects,
        { folder: from, target },
        "Moving",
      );
      if (!done.length) return;
      toast(`${describeCount(done.length, "item was", "items were")} moved to “${targetName}”.`, {
        undo: async () => {
          const back = { folder: target, target: from };
          await this.#sendEach(this.#urls.move, done, back, "Moving back");
          await this.#folder.refresh();
        },
      });
      if (this.#folder.items.has(target)) this.#folder.refresh();
    } catch (error) {
      this.#fail(error);
    }
  }

  async move(subjects) {
    if (!subjects.length) return;
    const picker = new FolderPicker(this.#urls, new Set(subjects.map(({ id }) => id)));
    try {
      await picker.look(this.#folder.id);
    } catch (error) {
      toast(error.message, { isFault: true });
      return;
    }
    const agreed = await confirmDialog({
      title: `Move ${describeCount(subjects.length, "item")} to`,
      body: picker.body,
      confirm: "Move here",
    });
    if (!agreed) return;
    const { id, names } = picker.target;
    if (id === this.#folder.id) toast("That is where they are already.");
    else await this.moveTo(subjects, id, names.at(-1));
  }

  // --- Deleting ---

  async remove(subjects) {
    if (!subjects.length) return;
    let plan;
    try {
      const json = { folder: this.#folder.id, items: subjects.map(({ id }) => id) };
      plan = await fetchJson(this.#urls.planDelete, { json });
    } catch (error) {
      toast(error.message, { isFault: true });
      return;
    }
    const what =
      subjects.length === 1 ? `“${subjects[0].name}”` : describeCount(subjects.length, "item");
    const agreed = await confirmDialog({
      title: `Delete ${what}?`,
      body: describePlan(plan),
      confirm: "Delete",
      isDanger: true,
    });
    if (!agreed) return;
    const place = Math.max(0, this.#list.findFocused());
    try {
      const { done, answers } = await this.#sendEach(
        this.#urls.delete,
        subjects,
        { folder: this.#folder.id, sure: "yes" },
        "Deleting",
      );
      if (done.length) this.#tellDeleted(done.length, answers);
      this.#list.focus(Math.min(place, this.#list.rows.length - 1));
    } catch (error) {
      this.#fail(error);
    }
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

// Goes through the folders of the drive; `target` is the one that is open.
class FolderPicker {
  target = null;
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
    this.body.append(this.#place, this.#choices);
  }

  async look(id) {
    const choice = await fetchJson(`${this.#urls.folders}?folder=${encodeURIComponent(id)}`);
    this.target = choice;
    this.#place.textContent = choice.names.join(" / ");
    const rows = [];
    if (choice.parent) rows.push(this.#make("arrow-up", "The folder above", choice.parent));
    for (const one of choice.folders) {
      if (!this.#moving.has(one.id)) rows.push(this.#make("folder", one.name, one.id));
    }
    this.#choices.replaceChildren(...rows);
    if (!rows.length) this.#choices.textContent = "There are no folders in here.";
  }

  #make(symbol, label, to) {
    const row = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.dir = "auto";
    button.append(icon(symbol), ` ${label}`);
    button.addEventListener("click", async () => {
      await this.look(to).catch((error) => toast(error.message, { isFault: true }));
      this.#choices.querySelector("button")?.focus();
    });
    row.append(button);
    return row;
  }
}
