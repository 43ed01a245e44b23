// Shows the uploads above the folder: how far all of it is, what needs an answer, and each file.

import { confirmDialog, icon, isPressed, toast } from "./common.js";
import { isOpen } from "./upload-store.js";
import { describeCount, describeSize, describeWait } from "./words.js";

const DRAW_EVERY_MS = 100;
const MOST_ROWS = 60;
const IMPORT_KEY = "hub-import-when-uploaded";
const GROUPING_KEY = "hub-import-grouping";

const URGENCY = ["taken", "name", "lost", "failed", "running", "paused", "waiting", "skipped", "done"];

function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

function makeButton(label, act, { symbol = "", quiet = true } = {}) {
  const button = make("button", quiet ? "button quiet small" : "button small");
  button.type = "button";
  if (symbol) button.append(icon(symbol), " ");
  button.append(label);
  button.addEventListener("click", act);
  return button;
}

const getLabel = (button) => button.getAttribute("aria-label") ?? button.textContent;

export class UploadPanel {
  #uploads;
  #section;
  #rows = new Map();
  #timer = 0;
  #wasActive = false;
  #pickAgain;

  // `pickAgain` opens the dialog for files that must be chosen once more.
  constructor(section, uploads, pickAgain) {
    this.#uploads = uploads;
    this.#section = section;
    this.#pickAgain = pickAgain;
    this.#build();
    uploads.addEventListener("change", () => {
      // The end is shown at once, what lies before it every now and then.
      if (this.#wasActive && ![...uploads.entries.values()].some(isOpen)) this.#draw();
      else this.#timer ||= setTimeout(() => this.#draw(), DRAW_EVERY_MS);
    });
    uploads.addEventListener("imported", ({ detail }) => this.#tellImport(detail));
  }

  #build() {
    this.head = make("h2");
    this.words = make("p", "uploads-words quiet-words small");
    this.bar = make("progress");
    this.bar.setAttribute("aria-label", "All uploads");
    this.said = make("p", "unseen");
    this.said.setAttribute("role", "status");
    this.trouble = make("p", "fault");
    this.trouble.setAttribute("role", "alert");
    this.pause = makeButton("Pause", () => this.#togglePause());
    this.cancel = makeButton("Cancel", () => this.#cancelAll());
    this.clear = makeButton("Put away", () => this.#uploads.clear());
    const actions = make("p", "actions");
    actions.append(this.pause, this.cancel, this.clear);
    const top = make("div", "uploads-head");
    const texts = make("div");
    texts.append(this.head, this.words);
    top.append(texts, actions);
    this.questions = make("div", "notes");
    this.list = make("ol", "upload-list");
    this.rest = make("p", "quiet-words small");
    this.#section.append(top, this.bar, this.trouble, this.#buildWish(), this.questions, this.list, this.rest, this.said);
  }

  #buildWish() {
    const kept = localStorage.getItem(IMPORT_KEY) ?? "";
    const keptGrouping = localStorage.getItem(GROUPING_KEY) ?? kept;
    this.wish = make("input");
    this.wish.type = "checkbox";
    this.wish.id = "import-when-uploaded";
    this.wish.checked = kept !== "";
    const label = make("label", "check");
    label.append(this.wish, " Import when uploaded");
    this.grouping = make("select");
    this.grouping.setAttribute("aria-label", "How the pictures become groups");
    for (const [value, words] of [
      ["one", "as one group"],
      ["folder", "one group a folder"],
      ["each", "one group a picture"],
    ]) {
      this.grouping.append(new Option(words, value, false, value === keptGrouping));
    }
    const change = () => {
      localStorage.setItem(IMPORT_KEY, this.wish.checked ? this.grouping.value : "");
      localStorage.setItem(GROUPING_KEY, this.grouping.value);
      this.#uploads.imports.set(this.wish.checked, this.grouping.value);
      this.#draw();
    };
    // May be chosen first: where all is uploaded already, the tick begins the import at once.
    this.#uploads.imports.set(this.wish.checked, this.grouping.value);
    this.wish.addEventListener("change", change);
    this.grouping.addEventListener("change", change);
    const line = make("div", "uploads-import");
    line.append(label, this.grouping);
    return line;
  }

  #togglePause() {
    if (this.#uploads.isPaused) this.#uploads.resumeAll();
    else this.#uploads.pauseAll();
  }

  async #cancelAll() {
    const { counts } = this.#uploads.describe();
    const left = Object.entries(counts).reduce(
      (sum, [state, count]) => sum + (isOpen({ state }) ? count : 0),
      0,
    );
    const agreed = await confirmDialog({
      title: "Cancel the uploads?",
      message: `${describeCount(left, "file")} will not be uploaded. What has arrived stays.`,
      confirm: "Cancel uploads",
      cancel: "Go on",
      isDanger: true,
    });
    if (agreed) this.#uploads.cancelAll();
  }

  #tellImport({ count, known, refused, url }) {
    const parts = [];
    if (count) parts.push(`${describeCount(count, "picture is", "pictures are")} being imported.`);
    const isThere = describeCount(known, "file is", "files are");
    if (known) parts.push(`${isThere} in the hub already, or on the way there.`);
    for (const one of refused) {
      parts.push(`${describeCount(one.count, "file was", "files were")} not imported: ${one.reason}`);
    }
    const words = parts.join(" ");
    toast(words, { isFault: !count && refused.length > 0, seconds: 10 });
    this.imported = { words, url };
    this.#draw();
  }

  // --- Drawing ---

  #draw() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (isPressed()) {
      // A button that came anew under the pointer would not hear of the click.
      this.#timer = setTimeout(() => this.#draw(), DRAW_EVERY_MS);
      return;
    }
    const focus = this.#section.contains(document.activeElement) ? document.activeElement : null;
    const place = [...this.list.children].indexOf(focus?.closest(".upload"));
    this.#drawAll();
    if (focus) this.#keepFocus(focus, place);
  }

  // What has had the focus may be gone: another button that does the same has it then, one of the
  // row that stands there now, or one above.
  #keepFocus(focus, place) {
    const now = document.activeElement;
    if (this.#section.contains(now) && now.checkVisibility()) return;
    const shown = [...this.#section.querySelectorAll("button")].filter((one) => one.checkVisibility());
    const { length } = this.list.children;
    const row = place < 0 ? null : this.list.children[Math.min(place, length - 1)];
    const next =
      shown.find((one) => getLabel(one) === getLabel(focus)) ??
      row?.querySelector("button") ??
      shown[0] ??
      document.getElementById("upload-files");
    next.focus({ preventScroll: true });
  }

  #drawAll() {
    const all = [...this.#uploads.entries.values()];
    this.#section.hidden = !all.length;
    if (!all.length) {
      this.imported = null;
      return;
    }
    const facts = this.#uploads.describe();
    const openCount = all.filter(isOpen).length;
    this.#drawHead(facts, openCount);
    this.#drawQuestions(facts.counts);
    this.#drawList(all);
    if (this.#wasActive && !openCount) {
      const words = `${describeCount(facts.doneCount, "file is", "files are")} uploaded.`;
      this.said.textContent = words;
      toast(words);
    }
    this.#wasActive = openCount > 0;
  }

  #drawHead(facts, openCount) {
    const { doneCount, fileCount, sentBytes, totalBytes, speed, secondsLeft } = facts;
    const isPaused = this.#uploads.isPaused;
    if (!openCount) this.head.textContent = `${describeCount(doneCount, "file")} uploaded`;
    else if (isPaused) this.head.textContent = `Paused at ${doneCount} of ${fileCount}`;
    else if (facts.isOffline) this.head.textContent = "Waiting for the network";
    else this.head.textContent = `Uploading ${doneCount} of ${fileCount}`;
    const parts = [`${describeSize(sentBytes)} of ${describeSize(totalBytes)}`];
    if (openCount && facts.isActive && speed > 0) {
      parts.push(`${describeSize(speed)} a second`, `about ${describeWait(secondsLeft)} left`);
    }
    this.words.textContent = parts.join(" · ");
    this.bar.max = Math.max(1, totalBytes);
    this.bar.value = totalBytes ? sentBytes : 1;
    this.bar.setAttribute("aria-valuetext", this.words.textContent);
    this.pause.textContent = isPaused ? "Go on" : "Pause";
    this.pause.hidden = this.cancel.hidden = !openCount;
    this.clear.hidden = openCount > 0;
    this.trouble.textContent = this.#uploads.trouble;
    this.trouble.hidden = !this.#uploads.trouble;
  }

  #drawQuestions(counts) {
    const { imports } = this.#uploads;
    // What is due waits only for a person while nothing goes on by itself.
    const dueCount = counts.running || counts.waiting ? 0 : imports.dueCount;
    const { taken, name, lost, failed, paused } = counts;
    const { fault } = imports;
    const mark = JSON.stringify([taken, name, lost, failed, paused, fault, dueCount, this.imported]);
    if (this.questions.dataset.mark === mark) return;
    this.questions.dataset.mark = mark;
    const notes = [];
    const each = (state, act) => () => {
      for (const entry of [...this.#uploads.entries.values()]) {
        if (entry.state === state) act(entry.id);
      }
    };
    const settle = (choice) => each("taken", (id) => this.#uploads.settle(id, choice));
    if (counts.taken) {
      const words = `${describeCount(counts.taken, "name is", "names are")} in the folder already.`;
      notes.push(
        this.#makeNote(words, [
          makeButton("Skip", settle("skip")),
          makeButton("Keep both", settle("rename")),
          makeButton("Replace", settle("replace")),
        ]),
      );
    }
    if (counts.name) {
      const words = `OneDrive does not take ${describeCount(counts.name, "name")}.`;
      const repair = each("name", (id) => this.#uploads.repair(id));
      notes.push(this.#makeNote(words, [makeButton("Repair the names", repair)]));
    }
    if (counts.lost) {
      const words = `${describeCount(counts.lost, "file")} must be chosen once more to go on.`;
      const choose = async () => {
        const { isMissing, mayAskOn } = await this.#uploads.reachAgain();
        if (isMissing && !mayAskOn) this.#pickAgain();
      };
      notes.push(this.#makeNote(words, [makeButton("Choose again", choose)]));
    }
    if (counts.failed) {
      const words = `${describeCount(counts.failed, "file")} could not be uploaded.`;
      notes.push(
        this.#makeNote(words, [makeButton("Try again", () => this.#uploads.retryAll())], true),
      );
    }
    const importNow = () => imports.check({ isNow: true });
    if (fault) {
      const words = `The import could not begin yet: ${fault}`;
      notes.push(this.#makeNote(words, [makeButton("Try again", importNow)], true));
    } else if (dueCount && (taken || name || lost || failed || paused)) {
      const words =
        `${describeCount(dueCount, "file is", "files are")} imported as soon as every file ` +
        "is uploaded, skipped or cancelled.";
      notes.push(this.#makeNote(words, [makeButton("Import now", importNow)]));
    }
    if (this.imported) {
      const link = make("a", "button quiet small", "See the import");
      link.href = this.imported.url;
      notes.push(this.#makeNote(this.imported.words, this.imported.url ? [link] : []));
    }
    this.questions.replaceChildren(...notes);
  }

  #makeNote(words, controls, isFault = false) {
    const note = make("div", isFault ? "note is-fault" : "note");
    const text = make("div");
    text.append(make("p", "", words));
    const actions = make("p", "actions");
    actions.append(...controls);
    note.append(text, actions);
    return note;
  }

  #drawList(all) {
    const rank = ({ state }) => URGENCY.indexOf(state);
    const shown = [...all]
      .sort((one, other) => rank(one) - rank(other) || one.order - other.order)
      .slice(0, MOST_ROWS);
    const ids = new Set(shown.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (!ids.has(id)) {
        row.item.remove();
        this.#rows.delete(id);
      }
    }
    // Rows keep the order in which the files came, so that nothing jumps while they go.
    shown.sort((one, other) => one.order - other.order);
    let before = null;
    for (const entry of shown) {
      const row = this.#rows.get(entry.id) ?? this.#makeRow(entry);
      this.#fillRow(row, entry);
      const place = before ? before.nextSibling : this.list.firstChild;
      if (place !== row.item) this.list.insertBefore(row.item, place);
      before = row.item;
    }
    const hidden = all.length - shown.length;
    this.rest.hidden = !hidden;
    this.rest.textContent = `and ${describeCount(hidden, "more file")}`;
  }

  #makeRow(entry) {
    const item = make("li", "upload");
    const name = make("span", "upload-name");
    name.dir = "auto";
    const words = make("span", "upload-words");
    const bar = make("progress");
    const actions = make("span", "actions");
    item.append(name, words, bar, actions);
    const row = { item, name, words, bar, actions, mark: "" };
    this.#rows.set(entry.id, row);
    return row;
  }

  #fillRow(row, entry) {
    const label = entry.path.join(" / ");
    const gone = Math.min(entry.size, entry.sent + entry.progress);
    row.name.textContent = label;
    row.words.textContent = this.#describe(entry, gone);
    row.words.classList.toggle("fault", ["failed", "name", "lost"].includes(entry.state));
    row.bar.max = Math.max(1, entry.size);
    row.bar.value = gone;
    row.bar.hidden = !(entry.state === "running" || (gone > 0 && gone < entry.size));
    row.bar.setAttribute("aria-label", label);
    const mark = `${entry.state} ${entry.repaired ?? ""}`;
    if (row.mark === mark) return;
    row.mark = mark;
    row.item.dataset.state = entry.state;
    const held = row.actions.contains(document.activeElement);
    row.actions.replaceChildren(...this.#makeActions(entry, label));
    if (held) row.actions.querySelector("button")?.focus();
  }

  #describe(entry, gone) {
    const size = describeSize(entry.size);
    switch (entry.state) {
      case "running":
        if (entry.message) return entry.message;
        return entry.size > gone && gone ? `${describeSize(gone)} of ${size}` : `${size}`;
      case "waiting":
        return entry.message || `${size}, waiting`;
      case "paused":
        return `${describeSize(gone)} of ${size}, paused`;
      case "name":
        return `${entry.message} It could be called “${entry.repaired.join(" / ")}”.`;
      case "skipped":
        return "Skipped";
      case "done":
        return entry.isFolder ? "Made" : `${size}, uploaded`;
      default:
        return entry.message || size;
    }
  }

  #makeActions(entry, label) {
    const uploads = this.#uploads;
    const { id } = entry;
    const small = (symbol, words, act) => {
      const button = make("button", "plain");
      button.type = "button";
      button.title = words;
      button.setAttribute("aria-label", `${words}: ${label}`);
      button.append(icon(symbol));
      button.addEventListener("click", act);
      return button;
    };
    const cancel = small("x", "Cancel", () => uploads.cancel(id));
    switch (entry.state) {
      case "waiting":
      case "running":
        return [small("pause", "Pause", () => uploads.pause(id)), cancel];
      case "paused":
        return [small("play", "Go on", () => uploads.resume(id)), cancel];
      case "failed":
        return [small("rotate-cw", "Try again", () => uploads.resume(id)), cancel];
      case "name":
        return [makeButton("Repair", () => uploads.repair(id)), cancel];
      case "taken":
        return [
          makeButton("Skip", () => uploads.settle(id, "skip")),
          makeButton("Keep both", () => uploads.settle(id, "rename")),
          makeButton("Replace", () => uploads.settle(id, "replace")),
        ];
      case "lost":
        return [cancel];
      case "done":
        return [icon("check")];
      default:
        return [];
    }
  }
}
