// The viewer's full-size images: where a rendition gets too coarse for the zoom, the tiles of a large
// original are shown; of another one the original is fetched from OneDrive through our own address,
// if browsers can show it.

import { t } from "./words.js";

/** @import PhotoSwipe from "photoswipe" */
/** @typedef {NonNullable<PhotoSwipe["currSlide"]>} Slide */

// A rendition may be stretched by this factor before the original is requested.
const COARSE = 1.1;

/** Tell whether a rendition is too coarse for a zoom, by default the present one.
 * @param {Slide} slide */
export function isCoarse({ currZoomLevel, data }, zoomLevel = currZoomLevel) {
  return zoomLevel * data.shot.fullWidth * devicePixelRatio >= data.shot.width * COARSE;
}

/** @type {WeakMap<Shot, ?HTMLImageElement>} null while it is fetched, and where that failed */
const images = new WeakMap();

/** Show originals in the viewer where they are needed.
 * @param {PhotoSwipe} pswp @param {(text: string, stays?: boolean) => void} show */
export function showFullImages(pswp, show) {
  /** @type {?Shot} the shot in view, while a message about its full-size image is shown */
  let fetching = null;
  /** @type {?Promise<boolean>} of what shows tiles, which is loaded once */
  let tiles = null;
  let isTold = false;

  /** Load what shows tiles; tells whether that worked. */
  function loadTiles() {
    tiles ??= import("./viewer-tiles.js").then(
      ({ showTiles }) => {
        showTiles(pswp);
        return true;
      },
      () => false,
    );
    return tiles;
  }

  async function fetchImage(/** @type {Slide} */ slide) {
    const { content, data } = slide;
    const shot = /** @type {Shot} */ (data.shot);
    if (!content.isImageContent() || !isCoarse(slide)) return;
    if (shot.tiles) {
      const isLoaded = await loadTiles();
      if (!isLoaded && !isTold) show(t("not_sharp"));
      isTold ||= !isLoaded;
      return;
    }
    if (!shot.zoom || images.has(shot)) return;
    images.set(shot, null);
    fetching = shot;
    show(t("sharper"), true);
    const img = new Image();
    img.src = shot.zoom;
    const isLoaded = await img.decode().then(
      () => true,
      () => false,
    );
    if (fetching === shot) {
      fetching = null;
      show(isLoaded ? "" : t("not_sharp"));
    }
    if (!isLoaded) return;
    images.set(shot, img);
    put(content);
  }

  /** Replace the rendition: PhotoSwipe moves and sizes whatever element its content names.
   * @param {Slide["content"]} content */
  function put(content) {
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

  /** Load what shows tiles before the first zoom, once the rendition is there. */
  function prepare() {
    const { data, content } = pswp.currSlide ?? {};
    const connection = /** @type {any} */ (navigator).connection;
    if (content?.state === "loaded" && data?.shot.tiles && !connection?.saveData) loadTiles();
  }

  pswp.on("loadComplete", prepare);
  pswp.on("zoomPanUpdate", ({ slide }) => {
    if (slide === pswp.currSlide) fetchImage(slide);
  });
  pswp.on("contentAppend", ({ content }) => queueMicrotask(() => put(content)));
  pswp.on("change", () => {
    prepare();
    // A message about a shot goes with it.
    if (!fetching || fetching === pswp.currSlide?.data.shot) return;
    fetching = null;
    show("");
  });
}
