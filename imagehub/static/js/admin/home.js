// Moves the bars of running imports, and shows the page anew once one has ended.

import { fetchJson } from "./common.js";

const section = document.querySelector("[data-jobs]");
const LOOK_MS = 1500;

async function look() {
  if (document.hidden) return;
  let jobs;
  try {
    ({ jobs } = await fetchJson(section.dataset.jobs));
  } catch {
    return; // The next look may do better.
  }
  const shown = [...section.querySelectorAll("[data-job]")];
  if (shown.some((row) => !jobs.some((job) => String(job.id) === row.dataset.job))) {
    location.reload();
    return;
  }
  for (const job of jobs) {
    const row = section.querySelector(`[data-job="${job.id}"]`);
    if (!row) continue;
    const bar = row.querySelector("progress");
    bar.value = job.finished;
    bar.setAttribute("aria-label", job.words);
    row.querySelector(".bar span").textContent = job.words;
  }
}

setInterval(look, LOOK_MS);
