// A work's page: its shots open in the viewer, and its address can be shared.

import { closest, find, get, isModified } from "./dom.js";
import { openShot, readWork } from "./opening.js";
import { share } from "./share.js";
import { say, t } from "./words.js";

const COPIED_MS = 3000;

const article = get(document, "article.work");
const work = readWork(document, true);

article.addEventListener("click", (event) => {
  const link = closest(event.target, "a[data-shot]");
  if (!link || isModified(event)) return;
  event.preventDefault();
  openShot(work, Number(link.dataset.shot), "new");
});

// The address of one shot opens that shot.
if (article.dataset.chosen) openShot(work, Number(article.dataset.chosen), "here");

const button = find(article, "[data-share]");
if (button) {
  const label = get(button, "span");
  const name = label.textContent;
  let timer = 0;
  button.hidden = false;
  button.addEventListener("click", async () => {
    if (!(await share(work.title, work.url))) return;
    label.textContent = t("copied");
    say(t("copied"));
    clearTimeout(timer);
    timer = setTimeout(() => (label.textContent = name), COPIED_MS);
  });
}
