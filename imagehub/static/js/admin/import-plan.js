// The import plan: reads the folders in OneDrive on and on, or shows the board.

import { byId, find, get } from "../dom.js";
import { t } from "../words.js";
import "./board.js";
import { reloadPage } from "./busy.js";
import { CallError, fetchJson, getMessage, sleep } from "./http.js";

const RELOAD_MS = 500;
const RETRY_MS = 2000;
const MAX_RETRY_MS = 30_000;
// Signed out, discarded, of another OneDrive, too large: asking again would change nothing.
const PERMANENT = [401, 404, 409, 422];

const reading = find(document, "[data-reading]");
if (reading) readAll(reading, reading.dataset.reading ?? "");

async function readAll(/** @type {HTMLElement} */ section, /** @type {string} */ url) {
  const fault = byId("reading-fault");
  let pause = 0;
  for (;;) {
    try {
      const answer = await fetchJson(url, { method: "POST" });
      byId("reading-words").textContent = answer.words;
      if (answer.is_read && reloadPage()) return;
      fault.hidden = !answer.fault;
      fault.textContent = answer.fault ? t("retrying", { fault: answer.fault }) : "";
      pause = answer.is_read ? RELOAD_MS : answer.fault ? growPause(pause) : 0;
    } catch (error) {
      fault.hidden = false;
      if (error instanceof CallError && PERMANENT.includes(error.status)) {
        fault.textContent = error.message;
        get(section, ".bar").hidden = true;
        return;
      }
      fault.textContent = t("retrying", { fault: getMessage(error) });
      pause = growPause(pause);
    }
    await sleep(pause);
  }
}

const growPause = (/** @type {number} */ pause) => Math.min(MAX_RETRY_MS, pause * 2 || RETRY_MS);
