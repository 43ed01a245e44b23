// Moves the bars of running imports, and loads the page again once one has ended.

import { find, findAll, get } from "../dom.js";
import { reloadPage } from "./busy.js";
import { fetchJson, sleep } from "./http.js";

const LOOK_MS = 1500;

const section = get(document, "[data-jobs]");

/** Show how far the imports are; return whether the page is being loaded again. */
async function look() {
  const answer = await fetchJson(section.dataset.jobs ?? "").catch(() => null);
  if (!answer) return false; // The next look may do better.
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

async function watch() {
  let isOver = false;
  while (!isOver) {
    await sleep(LOOK_MS);
    isOver = !document.hidden && (await look());
  }
}

watch();
