// Moves the bars of running imports, and loads the page again once one has ended. Asks for the storage
// space in OneDrive, which uploads and other programs change.

import { find, findAll, get } from "../dom.js";
import { reloadPage } from "./busy.js";
import { CallError, fetchJson, sleep } from "./http.js";
import { toastError } from "./toast.js";

const LOOK_MS = 1500;

const jobList = find(document, "[data-jobs]");
const storage = find(document, "[data-storage]");

/** Show how far the imports are; return whether there is nothing more to look for: the page is being
 * loaded again, or the person has been signed out.
 * @param {HTMLElement} section */
async function look(section) {
  let answer;
  try {
    answer = await fetchJson(section.dataset.jobs ?? "");
  } catch (error) {
    if (!(error instanceof CallError) || error.status !== 401) return false;
    toastError(error);
    return true;
  }
  const jobs = /** @type {{ id: number, finished: number, words: string }[]} */ (answer.jobs);
  const rows = findAll(section, "[data-job]");
  const hasEnded = rows.some(({ dataset }) => !jobs.some(({ id }) => String(id) === dataset.job));
  if (hasEnded) return reloadPage();
  for (const { id, finished, words } of jobs) {
    const row = find(section, `[data-job="${id}"]`);
    if (!row) continue;
    const bar = get(row, "progress", HTMLProgressElement);
    bar.value = finished;
    bar.setAttribute("aria-label", words);
    get(row, ".bar span").textContent = words;
  }
  return false;
}

/** @param {HTMLElement} section */
async function watch(section) {
  let isOver = false;
  while (!isOver) {
    await sleep(LOOK_MS);
    isOver = !document.hidden && (await look(section));
  }
}

/** @param {HTMLElement} figure */
async function showStorage(figure) {
  const answer = await fetchJson(figure.dataset.storage ?? "").catch(() => null);
  if (!answer) return; // What was known before stays.
  get(figure, "dd").textContent = answer.words;
  const bar = find(figure, "progress", HTMLProgressElement);
  if (bar && answer.total) Object.assign(bar, { max: answer.total, value: answer.used });
}

if (storage) showStorage(storage);
if (jobList) watch(jobList);
