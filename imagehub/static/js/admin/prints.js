// Moves the bars of the print files that are being made, and loads the page again once one is done.

import { find, findAll, get } from "../dom.js";
import { reloadPage } from "./busy.js";
import { fetchJson, sleep } from "./http.js";

const LOOK_MS = 2000;

const list = find(document, "[data-prints]");

async function watch(/** @type {HTMLElement} */ section) {
  while (findAll(section, "[data-print]").length > 0) {
    await sleep(LOOK_MS);
    const answer = await fetchJson(section.dataset.prints ?? "").catch(() => null);
    if (!answer) continue;
    const running = /** @type {{ id: number, done: number, words: string }[]} */ (answer.prints);
    for (const row of findAll(section, "[data-print]")) {
      const one = running.find(({ id }) => String(id) === row.dataset.print);
      if (!one) {
        reloadPage();
        return;
      }
      const bar = get(row, "progress", HTMLProgressElement);
      bar.value = one.done;
      bar.setAttribute("aria-label", one.words);
      get(row, ".bar span").textContent = one.words;
    }
  }
}

if (list) watch(list);
