// The library: fields that save themselves, choosing many, order by drag and keyboard.

import { confirmDialog, icon, onKey, toast } from "./common.js";
import { fetchJson } from "./http.js";

document.body.classList.add("has-script");

const said = document.getElementById("said");
const say = (words) => {
  if (said) said.textContent = words;
};

// --- Fields that save themselves ---

const state = document.getElementById("save-state");
const PAUSE_MS = 900;
const RETRY_MS = 5000;
// What is sent once more is refused once more.
const LASTING = new Set([404, 409, 413, 422]);
// Browsers take 64 KiB for all that goes on when the page is left.
const MOST_KEPT_ALIVE = 30_000;
let version = Number(document.querySelector("[data-version]")?.dataset.version ?? 0);
let chain = Promise.resolve();
let openSaves = 0;
let orders = Promise.resolve();
let openOrders = 0;
let isLeaving = false;

function show(words, isFault = false) {
  if (!state) return;
  state.textContent = words;
  state.classList.toggle("is-fault", isFault);
  state.classList.toggle("is-good", words === "Saved");
}

const unsaved = new Map();

// What is true of all that the page saves, whichever of it has just ended.
function showKept() {
  const refused = savers.map((saver) => saver.refused).find(Boolean);
  if (refused) show(`Not saved: ${nameField(refused)}`, true);
  else if (unsaved.size) show("Not saved yet");
  else show(openOrders ? "Saving…" : "Saved");
}

// Waits until nothing is on its way or waits for its time.
async function keepAll() {
  for (const saver of savers) saver.save();
  while (openSaves || openOrders) await Promise.all([chain, orders]);
  await chain;
}

const nameField = ({ field }) => field.labels[0]?.textContent.trim() ?? "";
// What a person reads for a value: of a choice its label.
const nameValue = ({ field }, value) =>
  [...(field.options ?? [])].find((option) => option.value === value)?.text || value || "(empty)";

// Says at the field itself why it was not saved; without words what was said goes.
function tell({ field }, words) {
  const id = `fault-${field.name}`;
  document.getElementById(id)?.remove();
  field.toggleAttribute("aria-invalid", Boolean(words));
  if (!words) {
    field.removeAttribute("aria-describedby");
    return;
  }
  const fault = document.createElement("span");
  fault.className = "fault";
  fault.id = id;
  fault.append(icon("circle-alert"), ` ${words}`);
  field.after(fault);
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", id);
}

// What a form or a shot saves: its fields, where to, and what the server last had of each.
class Saver {
  constructor(box) {
    this.box = box;
    this.url = box.dataset.save;
    this.fields = new Map();
    this.sure = {};
    for (const field of box.querySelectorAll("[name]:not([type=hidden], [hidden])")) {
      const name = field.dataset.field ?? field.name;
      const was = box.querySelector(`[name="was-${field.name}"]`);
      const one = { field, was, base: was ? was.value : field.value };
      this.fields.set(name, one);
      field.addEventListener("input", () => {
        if (field.hasAttribute("aria-invalid")) tell(one, "");
        this.plan();
      });
      field.addEventListener("change", () => this.save());
      field.addEventListener("blur", () => this.timer && this.save());
    }
    box.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
  }

  #list() {
    return [...this.fields].filter(
      ([, one]) => one.field.value !== one.base && one.field.value !== one.sent,
    );
  }

  // What the server refused waits for its author, and does not keep the rest from being saved.
  getChanges() {
    const changed = this.#list().filter(([, one]) => one.field.value !== one.refused);
    return Object.fromEntries(changed.map(([name, one]) => [name, one.field.value]));
  }

  get refused() {
    return this.#list().find(([, one]) => one.field.value === one.refused)?.[1];
  }

  #rest() {
    if (!this.refused) unsaved.delete(this);
  }

  plan(pause = PAUSE_MS) {
    clearTimeout(this.timer);
    const isUnsaved = Object.keys(this.getChanges()).length > 0;
    if (isUnsaved) unsaved.set(this, true);
    else this.#rest();
    if (isUnsaved) show("Not saved yet");
    this.timer = setTimeout(() => this.save(), pause);
  }

  save() {
    clearTimeout(this.timer);
    this.timer = 0;
    if (Object.keys(this.getChanges()).length) unsaved.set(this, true);
    chain = chain.then(() => this.send());
    return chain;
  }

  async send() {
    const changes = this.getChanges();
    const names = Object.keys(changes);
    if (!names.length) {
      this.#rest();
      // It was typed, and taken back before it was sent.
      if (state?.textContent === "Not saved yet") showKept();
      return;
    }
    const base = Object.fromEntries(names.map((name) => [name, this.fields.get(name).base]));
    show("Saving…");
    openSaves += 1;
    const json = { version, changes, base };
    const keepalive = new Blob([JSON.stringify(json)]).size < MOST_KEPT_ALIVE;
    this.sure = keepalive ? changes : {};
    try {
      const answer = await fetchJson(this.url, { json, keepalive });
      this.accept(answer, changes);
      showKept();
    } catch (error) {
      if (error.status === 409 && error.detail?.current) await this.settle(error.detail);
      else if (!this.refuse(error, changes)) this.fail(error);
    } finally {
      openSaves -= 1;
      this.sure = {};
    }
  }

  // Whether words would be lost with the page: what is on its way arrives though it is left.
  get isOpen() {
    return this.#list().some(([name, { field }]) => field.value !== this.sure[name]);
  }

  accept(answer, changes) {
    version = answer.version;
    for (const [name, sent] of Object.entries(changes)) {
      const one = this.fields.get(name);
      const saved = answer.fields[name];
      // The server tidies spaces; what was typed since stays as it is.
      if (one.field.value === sent && document.activeElement !== one.field) one.field.value = saved;
      one.base = saved;
      one.sent = sent;
      if (one.was) one.was.value = saved;
      if (name === "title") {
        document.getElementById("group-title").textContent = saved || "Untitled";
      }
    }
    document.querySelector("#record [name=version]").value = version;
    if (Object.keys(this.getChanges()).length) this.plan();
    else this.#rest();
  }

  // Whether the fault is that of single fields; what was typed in others is sent without them.
  refuse(error, changes) {
    const names = Object.keys(error.detail?.fields ?? {}).filter((name) => name in changes);
    if (error.status !== 422 || !names.length) return false;
    for (const name of names) {
      const one = this.fields.get(name);
      one.refused = changes[name];
      if (one.field.value === one.refused) tell(one, error.message);
    }
    show(`Not saved: ${nameField(this.fields.get(names[0]))}. ${error.message}`, true);
    if (Object.keys(this.getChanges()).length) this.save();
    return true;
  }

  fail(error) {
    show(`Not saved: ${error.message}`, true);
    // Whoever was signed out may sign in again in another tab.
    if (!LASTING.has(error.status)) this.timer = setTimeout(() => this.save(), RETRY_MS);
  }

  // Both versions are shown, and nothing is lost whichever is taken.
  async settle(detail) {
    const list = document.createElement("dl");
    list.className = "versions";
    for (const [name, theirs] of Object.entries(detail.current)) {
      const one = this.fields.get(name);
      for (const [whose, words] of [["saved by somebody else", theirs], ["yours", detail.yours[name]]]) {
        const term = document.createElement("dt");
        term.textContent = `${nameField(one)}, ${whose}`;
        const value = document.createElement("dd");
        value.dir = "auto";
        value.textContent = nameValue(one, words);
        list.append(term, value);
      }
    }
    show("Not saved: somebody else changed this", true);
    const typed = Object.keys(detail.current).map((name) => [name, this.fields.get(name).field.value]);
    const isMine = await confirmDialog({
      title: "Somebody else changed this in the meantime",
      body: list,
      confirm: "Keep mine",
      cancel: "Take theirs",
      isUncalled: true,
    });
    if (isMine === null) {
      // Put away: both stay as they are, and it is asked again with the next word.
      for (const [name, value] of typed) this.fields.get(name).refused = value;
      if (Object.keys(this.getChanges()).length) this.save();
      return;
    }
    version = detail.version;
    for (const [name, theirs] of Object.entries(detail.current)) {
      const one = this.fields.get(name);
      one.base = theirs;
      one.sent = undefined;
      if (one.was) one.was.value = theirs;
      if (!isMine) one.field.value = theirs;
    }
    // Fields that nobody else touched went with the same call, and were refused with it.
    if (Object.keys(this.getChanges()).length) this.plan(0);
    else {
      this.#rest();
      show("Theirs is kept");
    }
  }
}

const savers = [...document.querySelectorAll("[data-save]")].map((box) => new Saver(box));
addEventListener("beforeunload", (event) => {
  // The first of the orders is on its way, those behind it are not.
  if (!isLeaving && (savers.some((saver) => saver.isOpen) || openOrders > 1)) event.preventDefault();
});
addEventListener("pageshow", () => {
  isLeaving = false;
});
// A link waits for what is being saved, so that a refusal or another's words find their author here;
// pressed again it goes at once.
const isSaving = () =>
  openSaves + openOrders > 0 || savers.some((saver) => Object.keys(saver.getChanges()).length);
let awaited = null;
addEventListener("click", async (event) => {
  const link = event.target.closest?.("a[href]");
  const { button, ctrlKey, metaKey, shiftKey, altKey, defaultPrevented } = event;
  if (!link || button || ctrlKey || metaKey || shiftKey || altKey || defaultPrevented) return;
  const isElsewhere = link.target || link.hasAttribute("download") || link.hash;
  if (isElsewhere || awaited === link || !isSaving()) return;
  event.preventDefault();
  awaited = link;
  // "Keep mine" is saved in a second round.
  for (let round = 0; round < 3 && isSaving(); round += 1) await keepAll();
  const isStill = awaited === link;
  awaited = null;
  if (isStill && !savers.some((saver) => saver.refused)) location.assign(link.href);
});
// Back brings half-typed words back into their fields without an `input`. A form that the server has
// refused says so, and waits until its author has looked at it.
addEventListener("pageshow", () => {
  if (!state || state.textContent) return;
  for (const saver of savers) if (Object.keys(saver.getChanges()).length) saver.plan();
});

// --- Choosing many ---

const FOR_ALL = new Set(["publish", "draft", "set"]);

function watchChosen(form, name, words, buttons) {
  const boxes = () => [...form.querySelectorAll(`input[name=${name}]`)];
  const all = document.getElementById("choose-all");
  // All on all pages, of which the page knows a few.
  const rest = form.querySelector("input[name=all]");
  const update = () => {
    const isRest = Boolean(rest?.checked);
    if (isRest) for (const box of boxes()) box.checked = true;
    const count = boxes().filter((box) => box.checked).length;
    words.textContent = count ? `${count} chosen` : all ? "Choose all" : "Choose shots";
    if (all) {
      all.checked = count > 0 && count === boxes().length;
      all.indeterminate = count > 0 && !all.checked;
    }
    if (isRest) words.textContent = "All chosen";
    for (const button of buttons) {
      button.disabled = isRest ? !FOR_ALL.has(button.value) : !count;
    }
  };
  form.addEventListener("change", (event) => {
    // Whoever lets one go wants no longer all.
    const isBox = event.target === all || event.target.name === name;
    if (rest && isBox && !event.target.checked) {
      rest.checked = false;
    }
    if (event.target === rest) for (const box of boxes()) box.checked = rest.checked;
    if (event.target === rest) update();
    if (event.target === all) for (const box of boxes()) box.checked = all.checked;
    if (event.target === all || event.target.name === name) update();
  });
  addEventListener("pageshow", update);
  update();
  return update;
}

// --- Order: drag and Alt with the arrows ---

// `describe(element, before)` answers the form that puts it there for good; before is null at the end.
function arrange(list, selector, handle, url, describe) {
  let dragged = null;
  let target = null;
  const items = () => [...list.querySelectorAll(selector)];
  // The order that the hub has, and the steps that are on their way to it.
  let kept = items();
  const steps = [];
  const put = (order, { item, before }) => {
    const rest = order.filter((one) => one !== item);
    rest.splice(before ? rest.indexOf(before) : rest.length, 0, item);
    return rest;
  };
  const clear = () => {
    for (const one of items()) one.classList.remove("is-above", "is-below", "is-dragged");
  };
  const move = async (item, before) => {
    const old = item.nextElementSibling;
    if (before === item || before === old) return;
    list.insertBefore(item, before);
    say(`Place ${items().indexOf(item) + 1} of ${items().length}`);
    show("Saving…");
    const step = { item, before };
    const form = describe(item, before);
    steps.push(step);
    openOrders += 1;
    const call = orders.then(() => fetchJson(url, { form, keepalive: true }));
    orders = call.catch(() => {});
    let fault = null;
    try {
      await call;
      kept = put(kept, step);
    } catch (error) {
      fault = error;
    }
    steps.splice(steps.indexOf(step), 1);
    openOrders -= 1;
    showKept();
    if (!fault) return;
    // Later steps do not build on this one: each says in front of what it goes.
    const focus = document.activeElement;
    list.append(...steps.reduce(put, kept));
    if (list.contains(focus)) focus.focus({ preventScroll: true });
    toast(fault.message, { isFault: true });
  };
  for (const item of items()) {
    (handle ? item.querySelector(handle) : item).draggable = true;
  }
  list.addEventListener("dragstart", (event) => {
    dragged = event.target.closest?.(selector);
    if (!dragged) return;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", "");
    dragged.classList.add("is-dragged");
  });
  list.addEventListener("dragover", (event) => {
    const over = dragged && event.target.closest?.(selector);
    if (!over) return;
    event.preventDefault();
    const box = over.getBoundingClientRect();
    const isBelow = event.clientY > box.top + box.height / 2;
    for (const one of items()) one.classList.remove("is-above", "is-below");
    over.classList.add(isBelow ? "is-below" : "is-above");
    target = isBelow ? over.nextElementSibling : over;
  });
  list.addEventListener("drop", (event) => {
    if (!dragged) return;
    event.preventDefault();
    const item = dragged;
    clear();
    dragged = null;
    move(item, target);
  });
  list.addEventListener("dragend", () => {
    dragged = null;
    clear();
  });
  return (item, step) => {
    const all = items();
    const at = all.indexOf(item) + step;
    if (at < 0 || at >= all.length) return false;
    move(item, step < 0 ? all[at] : all[at].nextElementSibling);
    item.scrollIntoView({ block: "nearest" });
    return true;
  };
}

const STEPS = { ArrowUp: -1, ArrowDown: 1 };

// --- The list ---

const library = document.getElementById("library");

if (library) {
  const rows = document.getElementById("rows");
  const words = document.getElementById("chosen-words");
  words.closest("label").hidden = false;
  const buttons = [...library.querySelectorAll(".board-tools button[name=act]")];
  const update = watchChosen(library, "group", words, buttons);
  const getRows = () => [...rows.querySelectorAll(".row")];
  const getBox = (row) => row.querySelector("input[name=group]");
  let last = null;

  rows.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    const box = row && getBox(row);
    if (event.target !== box) return;
    if (event.shiftKey && last) {
      const all = getRows();
      const [from, to] = [all.indexOf(last), all.indexOf(row)].sort((a, b) => a - b);
      for (const one of all.slice(from, to + 1)) getBox(one).checked = box.checked;
      update();
    }
    last = row;
  });

  let stepRow = null;
  if (library.dataset.order) {
    stepRow = arrange(rows, ".row", null, library.dataset.order, (row, before) => {
      const form = { group: row.dataset.group };
      if (before) form.before = before.dataset.group;
      else form.after = row.previousElementSibling.dataset.group;
      return form;
    });
    library.addEventListener("submit", async (event) => {
      if (!openOrders) return;
      event.preventDefault();
      await keepAll();
      library.requestSubmit(event.submitter);
    });
    rows.addEventListener("click", (event) => {
      const button = event.target.closest(".row-order button");
      if (!button) return;
      const [act] = button.value.split(":");
      // At the edge of the page the form itself moves the group over it.
      if (stepRow(button.closest(".row"), act === "up" ? -1 : 1)) {
        event.preventDefault();
        button.focus();
      }
    });
  }

  rows.addEventListener("keydown", (event) => {
    const row = event.target.closest(".row");
    const step = STEPS[event.key];
    if (!row || event.ctrlKey || event.metaKey) return;
    if (step && event.altKey && stepRow) {
      event.preventDefault();
      const focus = event.target;
      if (stepRow(row, step)) focus.focus();
      else if (document.querySelector(step < 0 ? "[rel=prev]" : "[rel=next]")) {
        row.querySelector(`.row-order [value^="${step < 0 ? "up" : "down"}:"]`).click();
      } else say(step < 0 ? "It stands first already" : "It stands last already");
    } else if (step && !event.altKey) {
      event.preventDefault();
      const other = getRows()[getRows().indexOf(row) + step];
      (other?.querySelector(".row-title") ?? event.target).focus();
    } else if (event.key === "Enter" && event.target === getBox(row)) {
      event.preventDefault();
      row.querySelector(".row-title").click();
    } else if (event.key === " " && event.target.matches(".row-title")) {
      event.preventDefault();
      getBox(row).click();
    }
  });
  // On a checkbox it sends no form.
  library.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.type === "checkbox") event.preventDefault();
  });
  // Whoever moved a group over the edge of a page goes on moving it. Until the page is shown, the
  // browser takes the focus to where its address leads.
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted || !/^#group-[0-9]+$/.test(location.hash)) return;
    rows.querySelector(`${location.hash} .row-title`)?.focus();
  });
  const choose = () => {
    document.getElementById("choose-all").click();
  };
  onKey("a", choose);
  onKey("Delete", () => library.querySelector("[value=trash]:not(:disabled)")?.click());
  onKey("ArrowDown", () => rows.querySelector(".row-title")?.focus());
}

// What goes on step by step goes on by itself.
document.querySelector("form[data-goes-on]")?.requestSubmit();

// --- One group ---

const shots = document.querySelector("[data-shots]");

if (shots) {
  const list = shots.querySelector(".shots");
  const words = shots.querySelector("[data-chosen]");
  words.hidden = false;
  const buttons = [...shots.querySelectorAll(".board-tools button[name=act]:not([data-no-script])")]
    .filter((button) => !button.disabled);
  watchChosen(shots, "shot", words, buttons);
  const stepShot = arrange(list, ".shot", ".shot-picture", shots.action, (shot, before) => ({
    act: "order",
    shot: shot.dataset.shot,
    before: before?.dataset.shot ?? "",
  }));
  const findStep = (shot, way) => shot.querySelector(`.shot-acts [value^="${way}:"]`);
  const showSteps = () => {
    const all = [...list.querySelectorAll(".shot")];
    for (const shot of all) {
      findStep(shot, "up").hidden = shot === all[0];
      findStep(shot, "down").hidden = shot === all.at(-1);
    }
  };
  new MutationObserver(showSteps).observe(list, { childList: true });
  list.addEventListener("click", (event) => {
    const button = event.target.closest('.shot-acts [value^="up:"], .shot-acts [value^="down:"]');
    if (!button) return;
    event.preventDefault();
    const shot = button.closest(".shot");
    const [way, other] = button.value.startsWith("up:") ? ["up", "down"] : ["down", "up"];
    stepShot(shot, way === "up" ? -1 : 1);
    showSteps();
    (button.hidden ? findStep(shot, other) : button).focus({ preventScroll: true });
  });
  list.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    const shot = event.target.closest(".shot");
    if (!shot || !step || !event.altKey) return;
    event.preventDefault();
    const focus = event.target;
    stepShot(shot, step);
    focus.focus();
  });
  // What is saved already does not travel along: a thousand alt texts would be more than a form takes.
  shots.addEventListener("formdata", ({ formData }) => {
    for (const name of [...formData.keys()]) {
      if (!formData.has(`was-${name}`) || formData.get(name) !== formData.get(`was-${name}`)) continue;
      formData.delete(name);
      formData.delete(`was-${name}`);
    }
  });
  // Enter in a field of the form saves; here it does what stands beside it.
  document.getElementById("shots-to").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    shots.querySelector('[name=act][value="move"]').click();
  });
  // What is on its way arrives first: sent along once more, it would be taken for somebody else's.
  // What could not be saved of the shots the form brings along, so that nothing is lost where it
  // leads away; of the record, which it does not know, the browser asks.
  let isKept = false;
  shots.addEventListener("submit", async (event) => {
    if (!isKept && (unsaved.size || openSaves || openOrders)) {
      event.preventDefault();
      await keepAll();
      isKept = true;
      shots.requestSubmit(event.submitter);
      isKept = false;
      return;
    }
    isLeaving = [...unsaved.keys()].every(({ box }) => shots.contains(box));
  });
}
