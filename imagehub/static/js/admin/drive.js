// The drive browser, put together: the open folder, what is chosen, what is done, what comes in.

import { onKey } from "./common.js";
import { Acts } from "./drive-acts.js";
import { Choice } from "./drive-choice.js";
import { takeWhatComes } from "./drive-drop.js";
import { OpenFolder } from "./drive-folder.js";
import { showPreview } from "./drive-preview.js";

const $ = (id) => document.getElementById(id);
const { data, isWhole, owner, urls } = JSON.parse($("drive-data").textContent);

const listTicks = () =>
  [...$("entries").querySelectorAll("input:checked")].map((box) => box.value);

const folder = new OpenFolder(urls, data);
const acts = new Acts(folder, urls);
const choice = new Choice(folder, {
  open,
  rename: (row) => acts.rename(row),
  remove: (rows) => acts.remove(rows),
});

function open(row) {
  if (row.is_folder) folder.goTo(row.url);
  else if (row.thumb) showPreview(folder.list, row);
  else if (row.web) window.open(row.web, "_blank", "noopener");
}

$("selection").addEventListener("submit", (event) => {
  const act = event.submitter?.dataset.act;
  if (act === "import") {
    choice.carryInto($("selection"));
    return;
  }
  event.preventDefault();
  const subjects = choice.getSubjects();
  if (act === "rename" && subjects.length === 1) acts.rename(subjects[0]);
  else if (act === "move") acts.move(subjects);
  else if (act === "delete") acts.remove(subjects);
});

onKey("n", () => $("new-name").focus());
onKey("u", () => $("upload-files").click());
onKey("r", () => choice.getSubjects().length === 1 && acts.rename(choice.getSubjects()[0]));
onKey("m", () => acts.move(choice.getSubjects()));
onKey("Delete", () => acts.remove(choice.getSubjects()));
onKey("p", () => document.querySelector('[data-act="import"]:not([hidden])')?.click());
onKey("v", () => folder.setView(folder.list.isGrid ? "list" : "grid"));
onKey("Backspace", () => {
  const above = folder.facts.crumbs.at(-2);
  if (above) folder.goTo(above.url, { focus: folder.id });
});

document.documentElement.classList.add("has-script");
document.querySelector(".drive-uploading").hidden = false;
document.querySelector(".chosen-all").hidden = false;
$("drive-title").tabIndex = -1;
history.replaceState({ id: data.id }, "");
takeWhatComes(folder, urls, owner, (...move) => acts.moveTo(...move));
// Some browsers tick boxes anew when somebody comes back to the page.
addEventListener("pageshow", () => choice.takeTicks(listTicks()));
// Somebody may have been quicker than this script, or than the rest of the folder.
let ticked = [];
folder.addEventListener("open", () => (ticked = listTicks()), { once: true });
if (isWhole) folder.take(data);
else await folder.goTo(folder.makeUrl(data.id), { isBack: true });
choice.takeTicks(ticked);
