// The drive page: the open folder, what is selected, what is done with it, what is uploaded.

import { byId, find, findAll, get } from "../dom.js";
import { makeActs } from "./drive-acts.js";
import { acceptDrops } from "./drive-drop.js";
import { OpenFolder } from "./drive-folder.js";
import { showPreview } from "./drive-preview.js";
import { makeSelection } from "./drive-selection.js";
import { setUpUploads } from "./drive-uploads.js";
import { onKey } from "./keys.js";

const { data, isWhole, owner, urls } = JSON.parse(byId("drive-data").textContent);
const form = byId("selection", HTMLFormElement);

const listTicks = () =>
  findAll(byId("entries"), "input:checked", HTMLInputElement).map(({ value }) => value);

const folder = new OpenFolder(urls, data);
const acts = makeActs(folder, urls);
const selection = makeSelection(folder, acts, open);

/** @param {Item} row */
function open(row) {
  if (row.is_folder) folder.goTo(row.url);
  else if (row.thumb) showPreview(folder.list, row);
  else if (row.web) window.open(row.web, "_blank", "noopener");
}

function rename() {
  const subjects = selection.getSubjects();
  if (subjects.length === 1) acts.rename(subjects[0]);
}

form.addEventListener("submit", (event) => {
  const act = event.submitter?.dataset.act;
  if (act === "import") {
    selection.carryInto(form);
    return;
  }
  event.preventDefault();
  if (act === "rename") rename();
  else if (act === "move") acts.move(selection.getSubjects());
  else if (act === "delete") acts.remove(selection.getSubjects());
});

onKey("n", () => byId("new-name").focus());
onKey("u", () => byId("upload-files").click());
onKey("r", rename);
onKey("m", () => acts.move(selection.getSubjects()));
onKey("Delete", () => acts.remove(selection.getSubjects()));
onKey("p", () => find(document, '[data-act="import"]:not([hidden])')?.click());
onKey("v", () => folder.setView(folder.list.isGrid ? "list" : "grid"));
onKey("Backspace", () => {
  const parent = folder.facts.crumbs.at(-2);
  if (parent) folder.goTo(parent.url, { focus: folder.id });
});

get(document, ".drive-uploading").hidden = false;
get(document, ".chosen-all").hidden = false;
byId("drive-title").tabIndex = -1;
history.replaceState({ id: data.id }, "");
acceptDrops(folder, setUpUploads(folder, urls, owner), (...move) => acts.moveTo(...move));
// Some browsers restore ticks when somebody comes back to the page.
addEventListener("pageshow", () => selection.takeTicks(listTicks()));
// Somebody may tick items before this script runs, or while the rest of the folder is read.
let ticked = /** @type {string[]} */ ([]);
folder.addEventListener("open", () => (ticked = listTicks()), { once: true });
if (isWhole) folder.take(data);
// The page holds what its address filters or sorts; the script needs the whole folder.
else await folder.goTo(folder.makeUrl(data.id), { isBack: true, keepsFilter: true });
selection.takeTicks(ticked);
