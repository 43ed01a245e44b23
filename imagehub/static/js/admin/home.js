// Moves the bars of running imports, and shows the page anew once one has ended.

import { sleep } from "./async.js";
import { reloadPage } from "./common.js";
import { fetchJson } from "./http.js";

const section = document.querySelector("[data-jobs]");
const LOOK_MS = 1500;

// Whether all is shown that there is to show.
async function look() {
  let jobs;
  try {
    ({ jobs } = await fetchJson(section.dataset.jobs));
  } catch {
    return false; // The next look may do better.
  }
  const shown = [...section.querySelectorAll("[data-job]")];
  if (shown.some((row) => !jobs.some((job) => String(job.id) === row.dataset.job))) {
    return reloadPage();
  }
  for (const job of jobs) {
    const row = section.querySelector(`[data-job="${job.id}"]`);
    if (!row) continue;
    const bar = row.querySelector("progress");
    bar.value = job.finished;
    bar.setAttribute("aria-label", job.words);
    row.querySelector(".bar span").textContent = job.words;
  }
  return false;
}

// One look after the other: a second call for the page would begin it from its beginning.
async function watch() {
  let isOver = false;
  while (!isOver) {
    await sleep(LOOK_MS);
    isOver = !document.hidden && (await look());
  }
}

watch();
