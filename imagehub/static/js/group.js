// The works on their own page or on that of a share link: their shots open in the viewer, and the
// address of a work can be shared.

import { closest, find, findAll, get, isModified } from "./dom.js";
import { openShot, readWork } from "./opening.js";
import { share } from "./share.js";
import { setUpVideos } from "./video.js";
import { say, t } from "./words.js";

const COPIED_MS = 3000;

findAll(document, "[data-work]").forEach(setUp);
setUpVideos(document);
loadOthers();

/** Let the other pictures of a work's page load once its large one is shown or the visitor scrolls. */
async function loadOthers() {
  const large = find(document, '.hero img[fetchpriority="high"]', HTMLImageElement);
  const scrolled = new Promise((resolve) => {
    addEventListener("scroll", resolve, { once: true, passive: true });
  });
  // Decoding fails if the picture cannot be shown.
  await Promise.race([large?.decode().catch(() => {}), scrolled]);
  requestAnimationFrame(() => setTimeout(() => document.body.classList.add("is-ready")));
}

function setUp(/** @type {HTMLElement} */ article) {
  const work = readWork(article, true);
  article.addEventListener("click", (event) => {
    const link = closest(event.target, "a[data-shot]");
    if (!link || isModified(event)) return;
    event.preventDefault();
    findAll(article, "video", HTMLVideoElement).forEach((video) => video.pause());
    openShot(work, Number(link.dataset.shot), "new");
  });

  // The address of one shot opens that shot.
  if (article.dataset.chosen) openShot(work, Number(article.dataset.chosen), "here");

  const button = find(article, "[data-share]");
  if (!button) return;
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
