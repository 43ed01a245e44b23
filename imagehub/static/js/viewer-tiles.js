// Deep zoom in the viewer: OpenSeadragon draws the tiles of a large original over its rendition.
//
// PhotoSwipe stays in charge of pointer, keys, zoom and Escape; the tiles follow its picture. While
// that moves by an animation of its style sheet, only the rendition is shown.

import { make } from "./dom.js";
import { isCoarse } from "./viewer-full.js";

/** @import PhotoSwipe from "photoswipe" */
/** @typedef {NonNullable<PhotoSwipe["currSlide"]>} Slide */
/** @typedef {{ x: number, y: number }} Point */

const TILE_PX = 512;
const STAY_MS = 200;
const assets = new URL("..", import.meta.url).href;

// It would add a style element, which our policy forbids, unless there is an element of this kind.
const stub = document.createElementNS("", "style");
stub.setAttribute("data-openseadragon-mobile-css", "");
document.head.append(stub);

await new Promise((end, fail) => {
  const src = `${assets}vendor/openseadragon.js`;
  document.head.append(make("script", { src, onload: end, onerror: fail }));
});
const { OpenSeadragon } = /** @type {any} */ (globalThis);

/** Show tiles in an open viewer wherever a shot has some. @param {PhotoSwipe} pswp */
export function showTiles(pswp) {
  /** @type {?{ shot: Shot, layer: HTMLElement, drawer: any }} the shot whose tiles are shown */
  let shown = null;
  let isAsked = false;
  let readyTimer = 0;

  function update() {
    isAsked = false;
    const slide = pswp.currSlide;
    if (!slide || !pswp.opener.isOpen) return;
    if (!isCoarse(slide)) {
      if (shown?.shot !== slide.data.shot) end();
      if (shown) shown.layer.hidden = true;
      load(false);
      return;
    }
    if (!begin(slide)) return;
    const isMoving = pswp.animations.activeAnimations.some(
      ({ props }) => "target" in props && props.target === slide.container,
    );
    if (shown) shown.layer.hidden = isMoving;
    load(true);
    // The values are those of the animation's end, so its tiles are loaded meanwhile.
    follow(slide.width * slide.currZoomLevel, slide.pan);
    if (isMoving) ask();
  }

  function ask() {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(update);
  }

  /** Prepare a shot's tiles; nothing is loaded yet. Tells whether it has some. @param {Slide} slide */
  function begin(slide) {
    const shot = /** @type {Shot} */ (slide.data.shot);
    if (shown && shown.shot !== shot) end();
    if (!shot.tiles || !slide.holderElement) return false;
    if (!shown) {
      const layer = make("div", { className: "viewer-tiles", inert: true, hidden: true });
      slide.holderElement.append(layer);
      shown = { shot, layer, drawer: makeDrawer(shot, layer) };
      shown.drawer.addOnceHandler("open", ask);
    }
    return true;
  }

  function end() {
    shown?.drawer.destroy();
    shown?.layer.remove();
    shown = null;
  }

  /** @param {boolean} wanted whether tiles are loaded and drawn */
  function load(wanted) {
    shown?.drawer.world?.getItemAt(0)?.setOpacity(wanted ? 1 : 0);
  }

  /** Show the part of the picture that PhotoSwipe shows, or will show.
   * @param {number} width of the whole picture, as it is shown @param {Point} pan */
  function follow(width, pan) {
    const { x, y } = pswp.viewportSize;
    const part = new OpenSeadragon.Rect(-pan.x / width, -pan.y / width, x / width, y / width);
    shown?.drawer.viewport?.fitBounds(part, true);
  }

  /** A click zooms when the button is released: load what it will show when it is pressed.
   * @param {PointerEvent} event */
  function foresee({ target, pointerType, button, clientX, clientY }) {
    const slide = pswp.currSlide;
    if (pointerType !== "mouse" || button !== 0 || !slide || isCoarse(slide)) return;
    if (!(target instanceof HTMLImageElement) || !slide.isZoomable() || !begin(slide)) return;
    const { secondary } = slide.zoomLevels;
    if (!isCoarse(slide, secondary)) return;
    const move = (/** @type {number} */ pan, /** @type {number} */ at, /** @type {number} */ room) =>
      Math.min(0, Math.max(room, (pan - at) * (secondary / slide.currZoomLevel) + at));
    const { viewportSize } = pswp;
    load(true);
    follow(slide.width * secondary, {
      x: move(slide.pan.x, clientX, viewportSize.x - slide.width * secondary),
      y: move(slide.pan.y, clientY, viewportSize.y - slide.height * secondary),
    });
  }

  /** What draws takes a while to make: make it before the first zoom, if the visitor stays. */
  function getReady() {
    clearTimeout(readyTimer);
    readyTimer = setTimeout(() => {
      const slide = pswp.currSlide;
      if (slide && pswp.opener.isOpen && shown?.shot !== slide.data.shot) begin(slide);
    }, STAY_MS);
  }

  pswp.on("zoomPanUpdate", ask);
  pswp.on("resize", ask);
  pswp.on("change", () => {
    ask();
    getReady();
  });
  pswp.on("openingAnimationEnd", getReady);
  pswp.on("close", () => {
    clearTimeout(readyTimer);
    end();
  });
  pswp.element?.addEventListener("pointerdown", foresee, { capture: true });
  pswp.element?.addEventListener("pointerup", ask);
  pswp.element?.addEventListener("pointercancel", ask);
  update();
  getReady();
}

/** @param {Shot} shot @param {HTMLElement} element */
function makeDrawer(shot, element) {
  const longest = Math.max(shot.fullWidth, shot.fullHeight);
  const scaleFactors = [1];
  while (longest > TILE_PX * scaleFactors[scaleFactors.length - 1]) {
    scaleFactors.push(scaleFactors[scaleFactors.length - 1] * 2);
  }
  // Levels that are no finer than the rendition below are never needed.
  const rendition = Math.max(shot.width, shot.height);
  const finer = scaleFactors.filter((factor) => longest / factor > rendition);
  const tileSource = {
    "@context": "http://iiif.io/api/image/3/context.json",
    protocol: "http://iiif.io/api/image",
    type: "ImageService3",
    profile: "level0",
    id: new URL(shot.tiles, location.href).href,
    width: shot.fullWidth,
    height: shot.fullHeight,
    tiles: [{ width: TILE_PX, scaleFactors }],
    preferredFormats: ["webp"],
    minLevel: scaleFactors.length - finer.length,
  };
  const drawer = new OpenSeadragon({
    element,
    drawer: "canvas",
    tileSources: { tileSource, opacity: 0 },
    showNavigationControl: false,
    mouseNavEnabled: false,
    animationTime: 0,
    blendTime: 0,
    // The rendition is below, so coarser tiles are not needed first.
    immediateRender: true,
    // By default, after the first frames only one tile is requested in each.
    maxTilesPerFrame: 8,
    visibilityRatio: 0,
    minZoomImageRatio: 0,
    maxZoomPixelRatio: 1e6,
    placeholderFillStyle: null,
  });
  drawer.addHandler("tile-drawn", () => {
    element.dataset.drawn = "";
  });
  return drawer;
}
