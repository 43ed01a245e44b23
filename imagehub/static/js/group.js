// A work's page: its shots open in the viewer, and its address can be passed on.

import { openShot, readWork } from "./opening.js";
import { share } from "./share.js";
import { say, words } from "./words.js";

const article = document.querySelector("article.work");
const work = readWork(document, true);

article.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-shot]");
  const isModified = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
  if (!link || event.button !== 0 || isModified) return;
  event.preventDefault();
  openShot(work, Number(link.dataset.shot), "new");
});

// The address of one shot opens there.
if (article.dataset.chosen) openShot(work, Number(article.dataset.chosen), "here");

const button = article.querySelector("[data-share]");
const label = button.querySelector("span");
const name = label.textContent;
let copiedTimer = 0;
button.hidden = false;
button.addEventListener("click", async () => {
  if (!(await share(work.title, work.url))) return;
  label.textContent = words.copied;
  say(words.copied);
  clearTimeout(copiedTimer);
  copiedTimer = setTimeout(() => {
    label.textContent = name;
  }, 3000);
});
