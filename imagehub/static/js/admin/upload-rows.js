// The files of the upload panel, one row each: those that need an answer are shown in any case.

import { find, icon, make } from "../dom.js";
import { t } from "../words.js";
import { formatSize } from "./format.js";
import * as uploads from "./upload.js";

const MAX_ROWS = 60;
/** @type {UploadState[]} */
const URGENCY =
  ["taken", "name", "lost", "failed", "running", "paused", "waiting", "skipped", "done"];

export function makeButton(/** @type {string} */ label, /** @type {() => unknown} */ act) {
  return make("button", { type: "button", className: "button quiet small", onclick: act }, label);
}

/** Make the buttons that decide about a name that is taken.
 * @param {(choice: "skip" | "rename" | "replace") => void} settle */
export const makeChoices = (settle) => [
  makeButton(t("skip"), () => settle("skip")),
  makeButton(t("keep_both"), () => settle("rename")),
  makeButton(t("replace"), () => settle("replace")),
];

const getLabel = (/** @type {Entry} */ { path }) => path.join(" / ");

export const list = make("ol", { className: "upload-list" });
const rows = /** @type {Map<string, ReturnType<typeof makeRow>>} */ (new Map());

/** Show the most urgent entries; return how many are not shown. @param {Entry[]} all */
export function drawRows(all) {
  const rank = (/** @type {Entry} */ { state }) => URGENCY.indexOf(state);
  const shown = [...all]
    .sort((one, other) => rank(one) - rank(other) || one.order - other.order)
    .slice(0, MAX_ROWS);
  const ids = new Set(shown.map(({ id }) => id));
  for (const [id, { item }] of rows) {
    if (ids.has(id)) continue;
    item.remove();
    rows.delete(id);
  }
  // Rows keep the order in which the files came, so that nothing jumps while they are sent.
  shown.sort((one, other) => one.order - other.order);
  let place = list.firstChild;
  for (const entry of shown) {
    const row = rows.get(entry.id) ?? makeRow();
    rows.set(entry.id, row);
    fill(row, entry);
    if (place === row.item) place = row.item.nextSibling;
    else list.insertBefore(row.item, place);
  }
  return all.length - shown.length;
}

function fill(/** @type {ReturnType<typeof makeRow>} */ row, /** @type {Entry} */ entry) {
  const label = getLabel(entry);
  const sent = Math.min(entry.size, entry.sent + entry.progress);
  row.name.textContent = label;
  row.words.textContent = describe(entry, sent);
  row.words.classList.toggle("fault", ["failed", "name", "lost"].includes(entry.state));
  row.bar.max = Math.max(1, entry.size);
  row.bar.value = sent;
  row.bar.hidden = entry.state !== "running" && (sent === 0 || sent === entry.size);
  row.bar.setAttribute("aria-label", label);
  const drawn = `${entry.state} ${entry.repaired ?? ""}`;
  if (row.drawn === drawn) return;
  row.drawn = drawn;
  row.item.dataset.state = entry.state;
  const hadFocus = row.actions.contains(document.activeElement);
  row.actions.replaceChildren(...makeActions(entry));
  if (hadFocus) find(row.actions, "button")?.focus();
}

function makeActions(/** @type {Entry} */ entry) {
  /** @param {string} symbol @param {string} title @param {() => void} onclick */
  const makeIcon = (symbol, title, onclick) => {
    const ariaLabel = `${title}: ${getLabel(entry)}`;
    const properties = { className: "plain", title, ariaLabel, onclick };
    return make("button", { type: "button", ...properties }, icon(symbol));
  };
  const cancel = makeIcon("x", t("cancel"), () => uploads.cancel(entry));
  const resume = () => uploads.resume(entry);
  switch (entry.state) {
    case "waiting":
    case "running":
      return [makeIcon("pause", t("pause"), () => uploads.pause(entry)), cancel];
    case "paused":
      return [makeIcon("play", t("resume"), resume), cancel];
    case "failed":
      return [makeIcon("rotate-cw", t("retry"), resume), cancel];
    case "name":
      return [makeButton(t("correct_name"), () => uploads.repair(entry)), cancel];
    case "taken":
      return makeChoices((choice) => uploads.settle(entry, choice));
    case "lost":
      return [cancel];
    case "done":
      return [icon("check")];
    default:
      return [];
  }
}

/** What a row consists of; `drawn` is what its actions were drawn from. */
function makeRow() {
  const name = make("span", { className: "upload-name", dir: "auto" });
  const words = make("span", { className: "upload-words" });
  const bar = make("progress");
  const actions = make("span", { className: "actions" });
  const item = make("li", { className: "upload" }, name, words, bar, actions);
  return { item, name, words, bar, actions, drawn: "" };
}

/** @param {Entry} entry @param {number} sent bytes */
function describe(entry, sent) {
  const size = formatSize(entry.size);
  const part = t("size_of", { sent: formatSize(sent), size });
  switch (entry.state) {
    case "running":
      return entry.message || (entry.size > sent && sent ? part : size);
    case "waiting":
      return entry.message || t("row_waiting", { size });
    case "paused":
      return t("row_paused", { part });
    case "name": {
      const name = entry.repaired?.join(" / ") ?? "";
      return `${entry.message} ${t("could_be_called", { name })}`;
    }
    case "skipped":
      return t("skipped");
    case "done":
      return entry.isFolder ? t("created") : t("row_uploaded", { size });
    default:
      return entry.message || size;
  }
}
