// The drive browser: goes from folder to folder without a new page, so that uploads go on; chooses,
// renames, moves and deletes; takes what is dropped, pasted or picked.

import { confirmDialog, fetchJson, icon, onKey, toast } from "./common.js";
import { DriveList, arrange, describeDay, describeHub } from "./drive-list.js";
import { UploadPanel } from "./upload-panel.js";
import { pickFiles, readDrop, readInput, readPaste } from "./upload-sources.js";
import { Uploads } from "./upload.js";
import { describeCount, describeSize } from "./words.js";

const ITEMS_TYPE = "application/x-hub-items";
const ITEMS_A_CALL = 10;
const SHOW_ARRIVED_MS = 2500;
const LONG_FOLDER = 90;
const MOST_ASKED = 20;
const YEAR_SECONDS = 365 * 86_400;

const $ = (id) => document.getElementById(id);
const { data, isWhole, urls } = JSON.parse($("drive-data").textContent);
const uploads = new Uploads(urls);
const list = new DriveList($("entries"), $("entry"));

let folder = { ...data };
let items = new Map();
let isLoading = false;
let loads = 0;
let anchor = -1;

const controls = { words: $("drive-words"), show: $("drive-show"), order: $("drive-sort") };
const makeUrl = (id) => `${urls.root}/${encodeURIComponent(id)}`;

// --- The folder -----------------------------------------------------------------------------------

function takeFolder(answer) {
  folder = { ...answer, isLong: Boolean(answer.next_page) };
  items = new Map(answer.items.map((item) => [item.id, item]));
  isLoading = false;
  loads += 1;
  list.chosen.clear();
  anchor = -1;
  drawHead();
  draw();
  if (needsAll()) loadAll();
}

async function goTo(url, { isBack = false, focus = "" } = {}) {
  const started = ++loads;
  $("entries").setAttribute("aria-busy", "true");
  try {
    const answer = await fetchJson(url);
    if (started !== loads) return;
    controls.words.value = "";
    takeFolder(answer);
    if (!isBack) history.pushState({ id: answer.id }, "", answer.is_root ? urls.root : makeUrl(answer.id));
    scrollTo({ top: 0 });
    const place = list.rows.findIndex((row) => row.id === focus);
    if (list.rows.length) list.focus(Math.max(0, place));
    else $("drive-title").focus();
  } catch (error) {
    toast(error.message, { isFault: true });
  } finally {
    $("entries").removeAttribute("aria-busy");
  }
}

// The same folder anew, with the place and the choice kept.
async function refresh() {
  const started = loads;
  const chosen = new Set(list.chosen);
  const answer = await fetchJson(makeUrl(folder.id));
  if (started !== loads) return;
  const isAll = !folder.next_page;
  const kept = items;
  takeFolder(answer);
  for (const id of chosen) if (items.has(id) || kept.has(id)) list.chosen.add(id);
  if (isAll && folder.next_page) loadAll();
  list.redrawChosen();
  drawChosen();
}

// More of the folder: pages of a thousand, from the beginning, as the first page was a small one.
async function loadMore() {
  if (isLoading || !folder.next_page) return;
  isLoading = true;
  const started = loads;
  try {
    const query = folder.page ? `?next_page=${encodeURIComponent(folder.page)}` : "";
    const answer = await fetchJson(`${makeUrl(folder.id)}/items${query}`);
    if (started !== loads) return;
    for (const item of answer.items) if (!items.has(item.id)) items.set(item.id, item);
    folder.page = folder.next_page = answer.next_page;
  } catch (error) {
    if (started !== loads) return;
    folder.next_page = "";
    toast(`The rest of this folder could not be fetched: ${error.message}`, { isFault: true });
  } finally {
    if (started === loads) {
      isLoading = false;
      draw();
    }
  }
}

async function loadAll() {
  const started = loads;
  while (started === loads && folder.next_page) {
    if (isLoading) await new Promise((resolve) => setTimeout(resolve, 50));
    else await loadMore();
  }
}

function needsAll() {
  return controls.words.value.trim() || controls.order.value !== "name" || controls.show.value !== "all";
}

list.onNearEnd = () => {
  // Not from inside of a drawing.
  if (folder.next_page) setTimeout(loadMore);
};

function draw() {
  const rows = arrange([...items.values()], {
    order: controls.order.value,
    show: controls.show.value,
    words: controls.words.value,
    keepsOrder: folder.isLong,
  });
  list.setRows(rows);
  const isFiltered = controls.words.value.trim() || controls.show.value !== "all";
  const parts = [];
  if (isFiltered) parts.push(`${describeCount(rows.length, "item")} of ${describeCount(items.size, "item")}`);
  if (folder.next_page && (isFiltered || needsAll())) {
    parts.push(`reading the folder: ${items.size.toLocaleString("en")} of ${folder.count.toLocaleString("en")}`);
  } else if (!isFiltered) {
    parts.push(describeCount(Math.max(folder.next_page ? folder.count : 0, items.size), "item"));
  }
  $("drive-state").textContent = items.size ? parts.join(" · ") : "";
  $("drive-empty").hidden = rows.length > 0 || Boolean(folder.next_page);
  if (!rows.length) {
    const [head, words] = isFiltered
      ? ["Nothing fits", "No name in this folder fits what you look for."]
      : [
          "This folder is empty",
          "Drag pictures or whole folders here from your computer, or choose them with Upload.",
        ];
    $("drive-empty").querySelector("h2").textContent = head;
    $("drive-empty").querySelector("p").textContent = words;
  }
  drawChosen();
}

function drawHead() {
  const { crumbs, quota } = folder;
  const here = crumbs.at(-1).name;
  $("drive-title").textContent = here;
  document.title = document.title.replace(/^.*?(?= · )/, () => here);
  const nav = $("crumbs");
  nav.replaceChildren();
  if (crumbs.length > 1) {
    const steps = document.createElement("ol");
    for (const { name, url } of crumbs.slice(0, -1)) {
      const step = document.createElement("li");
      const link = document.createElement("a");
      link.href = url;
      link.textContent = name;
      link.dir = "auto";
      step.append(link);
      steps.append(step);
    }
    nav.append(steps);
  }
  $("quota").hidden = !quota.words;
  if (quota.words) {
    const bar = $("quota").querySelector("progress");
    bar.max = quota.total;
    bar.value = quota.used;
    bar.setAttribute("aria-label", quota.words);
    $("quota").querySelector("span").textContent = quota.words;
  }
  for (const field of document.querySelectorAll('input[name="folder"]')) field.value = folder.id;
  $("arrange").action = makeUrl(folder.id);
}

addEventListener("popstate", (event) => {
  goTo(event.state?.id ? makeUrl(event.state.id) : location.href, { isBack: true });
});

$("crumbs").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (link && isPlainClick(event)) {
    event.preventDefault();
    goTo(link.href, { focus: folder.id });
  }
});

function isPlainClick(event) {
  return !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button);
}

// --- Arranging ------------------------------------------------------------------------------------

function rearrange() {
  anchor = -1;
  draw();
  if (needsAll()) loadAll();
}
controls.words.addEventListener("input", rearrange);
controls.show.addEventListener("change", rearrange);
controls.order.addEventListener("change", rearrange);
$("arrange").addEventListener("submit", (event) => event.preventDefault());

function setView(view) {
  list.setView(view);
  document.cookie = `drive-view=${view}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
for (const link of document.querySelectorAll("[data-view]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    setView(link.dataset.view);
  });
}

// --- Choosing -------------------------------------------------------------------------------------

function drawChosen() {
  const count = list.chosen.size;
  const all = $("choose-all");
  all.checked = count > 0 && list.rows.every(({ id }) => list.chosen.has(id));
  all.indeterminate = count > 0 && !all.checked;
  $("chosen-words").textContent = count ? `${count.toLocaleString("en")} chosen` : "Choose all";
  $("chosen").classList.toggle("has-some", count > 0);
  $("chosen").hidden = !items.size;
  for (const button of $("chosen").querySelectorAll("[data-act]")) {
    button.hidden = !count || (button.dataset.act === "rename" && count !== 1);
  }
}

function choose(place, isChosen, isRange) {
  if (isRange && anchor >= 0) {
    const [from, to] = [anchor, place].sort((one, other) => one - other);
    for (const { id } of list.rows.slice(from, to + 1)) list.setChosen(id, isChosen);
  } else {
    list.setChosen(list.rows[place].id, isChosen);
  }
  anchor = place;
  drawChosen();
}

async function chooseAll(isChosen) {
  if (isChosen) await loadAll();
  list.chosen.clear();
  if (isChosen) for (const { id } of list.rows) list.chosen.add(id);
  list.redrawChosen();
  drawChosen();
}

$("choose-all").addEventListener("change", (event) => chooseAll(event.target.checked));

// What a command is about: what is chosen, else the item with the focus.
function getSubjects() {
  if (list.chosen.size) return [...list.chosen].map((id) => items.get(id)).filter(Boolean);
  const row = list.rows[list.findFocused()];
  return row ? [row] : [];
}

$("entries").addEventListener("click", (event) => {
  const element = event.target.closest(".item");
  if (!element) return;
  const place = list.rows.findIndex((row) => row.id === element.dataset.id);
  const row = list.rows[place];
  if (!row) return;
  if (event.target.matches(".item-check input")) {
    choose(place, event.target.checked, event.shiftKey);
    return;
  }
  if (event.target.closest(".item-rename")) {
    editName(row);
    return;
  }
  const onName = event.target.closest(".item-name") || event.target.closest(".item-picture");
  if (!onName || !isPlainClick(event) || event.target.closest(".item-edit")) return;
  event.preventDefault();
  open(row);
});

function open(row) {
  if (row.is_folder) goTo(row.url);
  else if (row.thumb) showPreview(row);
  else if (row.web) window.open(row.web, "_blank", "noopener");
}

$("entries").addEventListener("keydown", (event) => {
  if (event.target.closest(".item-edit") || event.altKey || event.ctrlKey || event.metaKey) return;
  const place = list.findFocused();
  if (place < 0) return;
  const steps = {
    ArrowDown: list.columns,
    ArrowUp: -list.columns,
    ...(list.isGrid ? { ArrowRight: 1, ArrowLeft: -1 } : {}),
    PageDown: 10 * list.columns,
    PageUp: -10 * list.columns,
  };
  let target;
  if (event.key in steps) target = Math.min(Math.max(place + steps[event.key], 0), list.rows.length - 1);
  else if (event.key === "Home") target = 0;
  else if (event.key === "End" && folder.next_page) {
    event.preventDefault();
    loadAll().then(() => list.focus(list.rows.length - 1));
  } else if (event.key === "End") target = list.rows.length - 1;
  if (target !== undefined) {
    event.preventDefault();
    if (event.shiftKey) {
      if (anchor < 0) anchor = place;
      const start = anchor;
      choose(target, true, true);
      anchor = start;
    }
    list.focus(target);
  } else if (event.key === " " && event.target.matches(".item-name")) {
    event.preventDefault();
    choose(place, !list.chosen.has(list.rows[place].id), event.shiftKey);
  } else if (event.key === "F2") {
    event.preventDefault();
    editName(list.rows[place]);
  } else if (event.key === "Delete") {
    event.preventDefault();
    remove(getSubjects());
  }
});

onKey("ArrowDown", () => list.rows.length && list.focus(Math.max(0, list.findFocused())));
onKey("x", () => {
  const place = list.findFocused();
  if (place >= 0) choose(place, !list.chosen.has(list.rows[place].id), false);
});
onKey("a", () => chooseAll(list.chosen.size < list.rows.length || folder.next_page));
onKey("Escape", () => chooseAll(false));
onKey("n", () => $("new-name").focus());
onKey("u", () => $("upload-files").click());
onKey("r", () => getSubjects().length === 1 && editName(getSubjects()[0]));
onKey("m", () => move(getSubjects()));
onKey("Delete", () => remove(getSubjects()));
onKey("p", () => document.querySelector('[data-act="import"]:not([hidden])')?.click());
onKey("v", () => setView(list.isGrid ? "list" : "grid"));
onKey("Backspace", () => {
  const above = folder.crumbs.at(-2);
  if (above) goTo(above.url, { focus: folder.id });
});

// --- Changing -------------------------------------------------------------------------------------

// An answer about items in this folder: shown at once.
function keepItem(item) {
  items.set(item.id, item);
}

$("new-folder").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = $("new-name").value.trim();
  if (!name) return;
  const button = event.target.querySelector("button");
  button.disabled = true;
  try {
    const { done } = await fetchJson(urls.newFolder, { form: { folder: folder.id, name } });
    keepItem(done[0]);
    $("new-name").value = "";
    draw();
    list.focus(list.rows.findIndex((row) => row.id === done[0].id));
    toast(`The folder “${done[0].name}” was made.`);
  } catch (error) {
    toast(error.message, { isFault: true });
    $("new-name").focus();
  } finally {
    button.disabled = false;
  }
});

async function rename(row, name) {
  const { done, old_name: oldName } = await fetchJson(urls.rename, {
    form: { item: row.id, folder: folder.id, name },
  });
  keepItem(done[0]);
  draw();
  return oldName;
}

function editName(row) {
  const place = list.rows.indexOf(row);
  list.focus(place);
  const element = list.getElement(row.id);
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
      const oldName = await rename(row, name);
      finish(false);
      draw();
      if (isBack) list.focus(list.rows.findIndex(({ id }) => id === row.id));
      toast(`“${oldName}” is called “${items.get(row.id).name}” now.`, {
        undo: () => rename(row, oldName),
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

// Sends items a few at a time, and says how far it is where there are many.
async function sendEach(url, subjects, fields, verb) {
  const done = [];
  const failed = [];
  for (let start = 0; start < subjects.length; start += ITEMS_A_CALL) {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    for (const { id } of subjects.slice(start, start + ITEMS_A_CALL)) form.append("item", id);
    if (subjects.length > ITEMS_A_CALL) {
      $("drive-state").textContent = `${verb} ${start} of ${subjects.length}`;
    }
    const answer = await fetchJson(url, { form });
    done.push(...answer.done);
    failed.push(...answer.failed);
    for (const { id } of answer.done) {
      items.delete(id);
      list.chosen.delete(id);
    }
    draw();
  }
  for (const reason of new Set(failed.map((one) => one.reason))) {
    const count = failed.filter((one) => one.reason === reason).length;
    toast(`${describeCount(count, "item")} stayed: ${reason}`, { isFault: true, seconds: 12 });
  }
  return done;
}

async function moveTo(subjects, target, targetName) {
  const from = folder.id;
  try {
    const done = await sendEach(urls.move, subjects, { folder: from, target }, "Moving");
    if (!done.length) return;
    const words = `${describeCount(done.length, "item was", "items were")} moved to “${targetName}”.`;
    toast(words, {
      undo: async () => {
        await sendEach(urls.move, done, { folder: target, target: from }, "Moving back");
        await refresh();
      },
    });
    if (items.has(target)) refresh();
  } catch (error) {
    toast(error.message, { isFault: true });
    refresh();
  }
}

async function move(subjects) {
  if (!subjects.length) return;
  const body = document.createElement("div");
  body.className = "picker-body";
  const place = document.createElement("p");
  const choices = document.createElement("ul");
  choices.className = "picker";
  body.append(place, choices);
  let target = null;
  const moving = new Set(subjects.map(({ id }) => id));
  const look = async (id) => {
    const choice = await fetchJson(`${urls.folders}?folder=${encodeURIComponent(id)}`);
    target = choice;
    place.textContent = choice.names.join(" / ");
    place.dir = "auto";
    const rows = [];
    const add = (symbol, label, to) => {
      const row = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.className = "plain";
      button.dir = "auto";
      button.append(icon(symbol), ` ${label}`);
      button.addEventListener("click", async () => {
        await look(to).catch((error) => toast(error.message, { isFault: true }));
        choices.querySelector("button")?.focus();
      });
      row.append(button);
      rows.push(row);
    };
    if (choice.parent) add("arrow-up", "The folder above", choice.parent);
    for (const one of choice.folders) if (!moving.has(one.id)) add("folder", one.name, one.id);
    choices.replaceChildren(...rows);
    if (!rows.length) choices.textContent = "There are no folders in here.";
  };
  try {
    await look(folder.id);
  } catch (error) {
    toast(error.message, { isFault: true });
    return;
  }
  const agreed = await confirmDialog({
    title: `Move ${describeCount(subjects.length, "item")} to`,
    body,
    confirm: "Move here",
  });
  if (!agreed || !target) return;
  if (target.id === folder.id) toast("That is where they are already.");
  else await moveTo(subjects, target.id, target.names.at(-1));
}

async function remove(subjects) {
  if (!subjects.length) return;
  let plan;
  try {
    const form = new FormData();
    for (const { id } of subjects) form.append("item", id);
    plan = await fetchJson(urls.delete, { form });
  } catch (error) {
    toast(error.message, { isFault: true });
    return;
  }
  const body = document.createElement("div");
  for (const sentence of plan.sentences) {
    const words = document.createElement("p");
    words.textContent = sentence;
    body.append(words);
  }
  if (plan.groups.length) {
    const groups = document.createElement("ul");
    groups.className = "drive-names";
    for (const { title, url, images, shown } of plan.groups) {
      const row = document.createElement("li");
      const name = document.createElement(url ? "a" : "span");
      if (url) Object.assign(name, { href: url, target: "_blank", rel: "noopener" });
      name.textContent = title;
      name.dir = "auto";
      row.append(name, `, ${describeCount(images, "image")}${shown ? "" : ", draft"}`);
      groups.append(row);
    }
    body.append(groups);
  }
  const what = subjects.length === 1 ? `“${subjects[0].name}”` : describeCount(subjects.length, "item");
  const agreed = await confirmDialog({
    title: `Delete ${what}?`,
    body,
    confirm: "Delete",
    isDanger: true,
  });
  if (!agreed) return;
  const place = Math.max(0, list.findFocused());
  try {
    const done = await sendEach(urls.delete, subjects, { folder: folder.id, sure: "yes" }, "Deleting");
    if (done.length) {
      const is = describeCount(done.length, "item is", "items are");
      toast(`${is} in OneDrive’s recycle bin now. There you can bring them back.`);
    }
    list.focus(Math.min(place, list.rows.length - 1));
  } catch (error) {
    toast(error.message, { isFault: true });
    refresh();
  }
}

$("selection").addEventListener("submit", (event) => {
  const act = event.submitter?.dataset.act;
  if (act === "import") {
    // The list holds boxes only for what is near the window.
    for (const field of $("selection").querySelectorAll("[data-carried]")) field.remove();
    for (const id of list.chosen) {
      if (list.getElement(id)) continue;
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name: "item", value: id });
      field.dataset.carried = "yes";
      $("selection").append(field);
    }
    return;
  }
  event.preventDefault();
  const subjects = getSubjects();
  if (act === "rename" && subjects.length === 1) editName(subjects[0]);
  else if (act === "move") move(subjects);
  else if (act === "delete") remove(subjects);
});

// --- One picture ----------------------------------------------------------------------------------

function showPreview(first) {
  let row = first;
  const dialog = document.createElement("dialog");
  dialog.className = "preview";
  const picture = document.createElement("img");
  const head = document.createElement("h2");
  head.id = "preview-head";
  head.dir = "auto";
  const facts = document.createElement("p");
  facts.className = "quiet-words small";
  const hub = document.createElement("p");
  const actions = document.createElement("form");
  actions.method = "dialog";
  actions.className = "actions";
  const outside = document.createElement("a");
  outside.className = "button quiet";
  outside.target = "_blank";
  outside.rel = "noopener";
  outside.append(icon("external-link"), " Open in OneDrive");
  const close = document.createElement("button");
  close.className = "button quiet";
  close.textContent = "Close";
  actions.append(outside, close);
  dialog.setAttribute("aria-labelledby", head.id);
  dialog.append(picture, head, facts, hub, actions);
  const fill = () => {
    picture.src = `${row.thumb}&size=large`;
    picture.alt = row.name;
    head.textContent = row.name;
    facts.textContent = `${describeSize(row.size)} · ${describeDay(row.modified)}`;
    hub.replaceChildren(...describeHub(row));
    outside.hidden = !row.web;
    outside.href = row.web;
  };
  fill();
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const pictures = list.rows.filter((one) => one.thumb);
    row = pictures[pictures.indexOf(row) + step] ?? row;
    fill();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    list.focus(list.rows.indexOf(row));
  });
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}

// --- Upload ---------------------------------------------------------------------------------------

const panel = new UploadPanel($("uploads"), uploads, () => $("pick-files").click());

async function upload(sources, target = { id: folder.id, name: folder.crumbs.at(-1).name }) {
  const fresh = uploads.takeAgain(sources);
  if (!fresh.length) return;
  const count = await uploads.add(fresh, target, panel.choice);
  if (!count) toast("There was nothing to upload in that.");
}

$("upload-files").addEventListener("click", async () => {
  const sources = await pickFiles();
  if (sources === null) $("pick-files").click();
  else if (sources.length) upload(sources);
});
$("upload-folder").addEventListener("click", () => $("pick-folder").click());
for (const id of ["pick-files", "pick-folder"]) {
  $(id).addEventListener("change", () => {
    const sources = readInput($(id));
    $(id).value = "";
    upload(sources);
  });
}

document.addEventListener("paste", (event) => {
  if (event.target.closest?.("input, textarea") || !event.clipboardData?.files.length) return;
  event.preventDefault();
  upload(readPaste(event.clipboardData));
});

// What arrives is shown when the folder has a moment; many at once cost one look. A folder of
// thousands is not read anew for that: what arrived in it is asked for by itself.
let refreshTimer = 0;
let arrived = [];
uploads.addEventListener("arrived", ({ detail }) => {
  arrived.push(detail);
  refreshTimer ||= setTimeout(showArrived, SHOW_ARRIVED_MS);
});

async function showArrived() {
  const files = arrived.filter((entry) => entry.target === folder.id && !entry.isFolder);
  arrived = [];
  refreshTimer = 0;
  if (document.querySelector(".item-edit")) return;
  try {
    if (items.size < LONG_FOLDER && !folder.next_page) {
      await refresh();
      return;
    }
    const started = loads;
    for (const { itemId, itemName } of files.slice(0, MOST_ASKED)) {
      const json = { id: itemId, name: itemName, folder: folder.id };
      const { item } = await fetchJson(urls.item, { json });
      if (started !== loads) return;
      keepItem(item);
    }
    if (files.length) draw();
  } catch {
    // It is there all the same, and the next look shows it.
  }
}

// --- Dropping -------------------------------------------------------------------------------------

const isFiles = (event) => event.dataTransfer?.types.includes("Files");
const isItems = (event) => event.dataTransfer?.types.includes(ITEMS_TYPE);
let depth = 0;

function findDropFolder(event) {
  const element = event.target.closest?.(".item.is-folder");
  const row = element ? items.get(element.dataset.id) : null;
  return row && !(isItems(event) && list.chosen.has(row.id)) ? { row, element } : null;
}

function markDrop(element) {
  for (const other of document.querySelectorAll(".is-target")) other.classList.remove("is-target");
  element?.classList.add("is-target");
}

function showDrop(isOver, name = "") {
  $("drop-here").hidden = !isOver;
  if (isOver) $("drop-here").querySelector("strong").textContent = name;
}

document.addEventListener("dragenter", (event) => {
  if (!isFiles(event)) return;
  event.preventDefault();
  depth += 1;
});
document.addEventListener("dragleave", (event) => {
  if (!isFiles(event)) return;
  depth = Math.max(0, depth - 1);
  if (!depth) {
    showDrop(false);
    markDrop(null);
  }
});
document.addEventListener("dragover", (event) => {
  const found = findDropFolder(event);
  if (isFiles(event)) {
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    markDrop(found?.element);
    showDrop(true, found?.row.name ?? folder.crumbs.at(-1).name);
  } else if (isItems(event) && found) {
    event.preventDefault();
    event.dataTransfer.dropEffect = "move";
    markDrop(found.element);
  } else {
    markDrop(null);
  }
});
document.addEventListener("drop", async (event) => {
  depth = 0;
  showDrop(false);
  markDrop(null);
  const found = findDropFolder(event);
  if (isFiles(event)) {
    event.preventDefault();
    try {
      const sources = await readDrop(event.dataTransfer);
      await upload(sources, found ? { id: found.row.id, name: found.row.name } : undefined);
    } catch {
      toast("The browser could not read what was dropped.", { isFault: true });
    }
  } else if (isItems(event) && found) {
    event.preventDefault();
    const ids = JSON.parse(event.dataTransfer.getData(ITEMS_TYPE));
    const subjects = ids.map((id) => items.get(id)).filter((one) => one && one !== found.row);
    moveTo(subjects, found.row.id, found.row.name);
  }
});
$("entries").addEventListener("dragstart", (event) => {
  const id = event.target.closest?.(".item")?.dataset.id;
  if (!id) return;
  const ids = list.chosen.has(id) ? [...list.chosen] : [id];
  event.dataTransfer.setData(ITEMS_TYPE, JSON.stringify(ids));
  event.dataTransfer.effectAllowed = "move";
});

// --- The beginning --------------------------------------------------------------------------------

document.documentElement.classList.add("has-script");
document.querySelector(".drive-uploading").hidden = false;
document.querySelector(".chosen-all").hidden = false;
$("drive-title").tabIndex = -1;
history.replaceState({ id: data.id }, "");
if (isWhole) takeFolder(data);
else goTo(makeUrl(data.id), { isBack: true });
uploads.start();
