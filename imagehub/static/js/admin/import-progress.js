// The page of one import: shows how far it is while it runs.

import { byId, closest, find, findAll, getFocused, make } from "../dom.js";
import { say } from "../words.js";
import { waitForRelease } from "./busy.js";
import { CallError, fetchJson, sleep } from "./http.js";
import { toast } from "./toast.js";

const LOOK_MS = 1000;
const MAX_LOOK_MS = 15_000;

const progress = byId("progress");

function parse(/** @type {string} */ html) {
  const template = make("template");
  template.innerHTML = html;
  return template.content;
}

/** Show the new state; what has the focus keeps it. @param {Record<string, string>} answer */
async function show({ html, state }) {
  await waitForRelease();
  const focused = progress.contains(document.activeElement) ? getFocused() : null;
  const held = state === "running" && focused && closest(focused, "[data-part]");
  if (held) {
    showAround(held, html);
    return;
  }
  progress.innerHTML = html;
  if (!focused) return;
  const same = findAll(progress, focused.tagName).find(
    (other) =>
      other.textContent === focused.textContent &&
      ["value", "href"].every((name) => other.getAttribute(name) === focused.getAttribute(name)),
  );
  progress.tabIndex = -1;
  (same ?? progress).focus({ preventScroll: true });
}

/** Replace all parts but one, which would lose the focus if it were moved or replaced. */
function showAround(/** @type {HTMLElement} */ held, /** @type {string} */ html) {
  for (const old of [...progress.childNodes]) if (old !== held) old.remove();
  let isBehind = false;
  for (const part of [...parse(html).children]) {
    if (part.getAttribute("data-part") === held.dataset.part) isBehind = true;
    else if (isBehind) progress.append(part);
    else held.before(part);
  }
}

async function watch() {
  let pause = LOOK_MS;
  let saidTenths = 0;
  while (progress.dataset.state === "running") {
    await sleep(pause);
    if (document.hidden) continue;
    try {
      const answer = await fetchJson(progress.dataset.progress ?? "");
      progress.dataset.state = answer.state;
      await show(answer);
      const { done_count: done, failed_count: failed, item_count: all } = answer;
      const tenths = Math.floor((10 * (done + failed)) / all);
      if (tenths > saidTenths || answer.state !== "running") {
        saidTenths = tenths;
        say(find(parse(answer.html), ".bar span, .note")?.textContent.trim() ?? "");
      }
      pause = LOOK_MS;
    } catch (error) {
      if (error instanceof CallError && error.status === 401) {
        toast(error.message, { isFault: true, seconds: 60 });
        return;
      }
      pause = Math.min(MAX_LOOK_MS, pause * 2);
    }
  }
}

watch();
