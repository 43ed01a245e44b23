// The viewer's full-size images: where a rendition gets too coarse for the zoom, the original is
// fetched from OneDrive through our own address, if browsers can show it.

import { t } from "./words.js";

/** @import PhotoSwipe from "photoswipe" */
/** @typedef {NonNullable<PhotoSwipe["currSlide"]>} Slide */

// A rendition may be stretched by this factor before the original is requested.
const COARSE = 1.1;

/** @type {WeakMap<Shot, ?HTMLImageElement>} null while it is fetched, and where that failed */
const images = new WeakMap();

export class FullImages {
  /** @type {?Shot} the shot in view, while a message about its full-size image is shown */
  #fetching = null;
  #show;

  /** @param {PhotoSwipe} pswp @param {(text: string, stays?: boolean) => void} show */
  constructor(pswp, show) {
    this.#show = show;
    pswp.on("zoomPanUpdate", ({ slide }) => {
      if (slide === pswp.currSlide) this.#fetch(slide);
    });
    pswp.on("contentAppend", ({ content }) => queueMicrotask(() => this.#put(content)));
    pswp.on("change", () => {
      // A message about a shot goes with it.
      if (!this.#fetching || this.#fetching === pswp.currSlide?.data.shot) return;
      this.#fetching = null;
      show("");
    });
  }

  /** @param {Slide} slide */
  async #fetch({ content, currZoomLevel, data }) {
    /** @type {Shot} */
    const shot = data.shot;
    if (!shot.zoom || images.has(shot) || !content.isImageContent()) return;
    if (currZoomLevel * shot.fullWidth * devicePixelRatio < shot.width * COARSE) return;
    images.set(shot, null);
    this.#fetching = shot;
    this.#show(t("sharper"), true);
    const img = new Image();
    img.src = shot.zoom;
    const isLoaded = await img.decode().then(
      () => true,
      () => false,
    );
    if (this.#fetching === shot) {
      this.#fetching = null;
      this.#show(isLoaded ? "" : t("not_sharp"));
    }
    if (!isLoaded) return;
    images.set(shot, img);
    this.#put(content);
  }

  // Replace the rendition: PhotoSwipe moves and sizes whatever element its content names.
  /** @param {Slide["content"]} content */
  #put(content) {
    const img = images.get(content.data.shot);
    const old = content.element;
    if (!img || !(old instanceof HTMLImageElement) || old === img) return;
    img.className = old.className;
    img.alt = old.alt;
    img.style.width = old.style.width;
    img.style.height = old.style.height;
    old.replaceWith(img);
    content.element = img;
  }
}
