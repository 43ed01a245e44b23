// The drive page: the open folder, what is selected, what is done with it, what is uploaded.

import { byId, find, findAll, get } from "../dom.js";
import { move, openNewFolder, remove, rename } from "./drive-acts.js";
import "./drive-drop.js";
import * as folder from "./drive-folder.js";
import { isGrid } from "./drive-list.js";
import { carryInto, getSubjects, takeTicks } from "./drive-selection.js";
import { onKey } from "./keys.js";

const { data, isWhole } = folder.start;
const form = byId("selection", HTMLFormElement);

const listTicks = () =>
  findAll(byId("entries"), "input:checked", HTMLInputElement).map(({ value }) => value);

function renameSubject() {
  const subjects = getSubjects();
  if (subjects.length === 1) rename(subjects[0]);
}

form.addEventListener("submit", (event) => {
  const act = event.submitter?.dataset.act;
  if (act === "import") {
    carryInto(form);
    return;
  }
  if (act === "use-file") return;
  event.preventDefault();
  if (act === "rename") renameSubject();
  else if (act === "move") move(getSubjects());
  else if (act === "delete") remove(getSubjects());
});

onKey("n", openNewFolder);
onKey("u", () => byId("upload-files").click());
onKey("r", renameSubject);
onKey("m", () => move(getSubjects()));
onKey("Delete", () => remove(getSubjects()));
onKey("p", () => find(document, '[data-act="import"]:not([hidden])')?.click());
onKey("v", () => folder.setView(isGrid() ? "list" : "grid"));
onKey("Backspace", () => {
  const parent = folder.facts.crumbs.at(-2);
  if (parent) folder.goTo(parent.url, { focus: folder.facts.id });
});

get(document, ".drive-uploading").hidden = false;
get(document, ".chosen-all").hidden = false;
byId("drive-title").tabIndex = -1;
history.replaceState({ id: data.id }, "");
// Some browsers restore ticks when somebody comes back to the page.
addEventListener("pageshow", () => takeTicks(listTicks()));
// Somebody may tick items before this script runs, or while the rest of the folder is read.
let ticked = /** @type {string[]} */ ([]);
folder.events.addEventListener("open", () => (ticked = listTicks()), { once: true });
if (isWhole) folder.take(data);
// The page holds what its address filters or sorts; the script needs the whole folder.
else await folder.goTo(folder.makeUrl(data.id), { isBack: true, keepsFilter: true });
takeTicks(ticked);
