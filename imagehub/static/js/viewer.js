// The viewer: PhotoSwipe for zoom and touch, with our own bar, filmstrip, label, slideshow and
// comparison.
//
// A shot is shown as its rendition of 1920 pixels at once. Its size is the original's, so that
// zooming reaches real pixels.

import { closest, find, get, getIconUrl, icon, isModified, make } from "./dom.js";
import { makeLastingUrl } from "./renditions.js";
import { share } from "./share.js";
import { showFullImages } from "./viewer-full.js";
import { Label } from "./viewer-label.js";
import { Filmstrip, STRIP_PX } from "./viewer-strip.js";
import { Videos } from "./viewer-video.js";
import { t } from "./words.js";

const IDLE_MS = 2800;
const NOTE_MS = 2500;
const SLIDE_MS = 5000;
// A video fills the window as far as its still would at this width.
const VIDEO_PX = 1920;

const assets = new URL("..", import.meta.url).href;

const loadStyles = (/** @type {string} */ name) =>
  new Promise((end) => {
    const href = assets + name;
    document.head.append(make("link", { rel: "stylesheet", href, onload: end, onerror: end }));
  });

/** @type {[typeof import("photoswipe"), ...unknown[]]} */
const [{ default: PhotoSwipe }] = await Promise.all([
  import(`${assets}vendor/photoswipe.js`),
  loadStyles("vendor/photoswipe.css"),
  loadStyles("css/viewer.css"),
  loadStyles("css/text.css"),
]);

/** Open the viewer.
 * @param {object} options @param {Work} options.work
 * @param {number} options.index of the shot to begin with
 * @param {?HTMLElement} options.trigger the link it opens from; its picture grows into the viewer
 * @param {(shot: Shot) => void} options.onTurn @param {() => void} options.onClose
 * @param {() => void} options.onGone after the closing animation, where the focus is still its own
 * @returns {{ close: () => void, number: number }} `number` is that of the shot in view */
export function open({ work, index, trigger, onTurn, onClose, onGone }) {
  const { shots } = work;
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const scrolling = isStill ? "auto" : "smooth";
  const isSmall = matchMedia("(max-width: 700px)");
  const handle = { close, number: shots[index].number };
  /** @param {Shot} shot */
  const describe = (shot) => t("shot", { number: shot.position, count: shots.length });
  const strip = new Filmstrip(shots, describe, (i) => pswp.goTo(i));
  const label = work.label.length > 0 ? new Label(work) : null;

  const pswp = new PhotoSwipe({
    dataSource: shots.map((shot, i) => ({
      shot,
      type: shot.video ? "video" : "image",
      src: shot.src || makeLastingUrl(shot.lasting, 1920),
      ...getSize(shot),
      alt: shot.alt,
      msrc: findThumb(shot, i)?.currentSrc || shot.small,
      element: closest(findThumb(shot, i), "a") ?? undefined,
    })),
    index,
    mainClass: "viewer",
    bgOpacity: 1,
    loop: shots.length > 2,
    wheelToZoom: true,
    returnFocus: false,
    showHideAnimationType: isStill ? "none" : "zoom",
    showAnimationDuration: isStill ? 0 : 240,
    hideAnimationDuration: isStill ? 0 : 200,
    zoomAnimationDuration: isStill ? 0 : 180,
    // Without an animation PhotoSwipe would give the thumbnail the original's size at once.
    maxWidthToAnimate: 100000,
    paddingFn: () => {
      const side = isSmall.matches ? 0 : 24;
      const bottom = strip.isOpen ? STRIP_PX + 12 : side || 16;
      const taken = label?.room ?? { right: 0, bottom: 0 };
      return {
        top: 56,
        bottom: taken.bottom || bottom,
        left: side,
        right: side + taken.right,
      };
    },
    secondaryZoomLevel: ({ fit }) => Math.max(fit, Math.min(1 / devicePixelRatio, fit * 3)),
    maxZoomLevel: ({ fit }) => Math.max(1 / devicePixelRatio, fit * 2),
    closeTitle: t("close"),
    zoomTitle: t("zoom"),
    arrowPrevTitle: t("previous"),
    arrowNextTitle: t("next"),
    errorMsg: t("broken"),
    closeSVG: icon("x").outerHTML,
    zoomSVG: icon("zoom-in").outerHTML,
    arrowPrevSVG: icon("chevron-left").outerHTML,
    arrowNextSVG: icon("chevron-right").outerHTML,
    counter: false,
  });

  function getSize(/** @type {Shot} */ { video, fullWidth, fullHeight }) {
    const factor = video ? Math.max(1, VIDEO_PX / Math.max(fullWidth, fullHeight)) : 1;
    return { width: fullWidth * factor, height: fullHeight * factor };
  }

  /** PhotoSwipe neither closes nor turns while it opens: then it does so right after. */
  function whenOpen(/** @type {() => void} */ act) {
    if (pswp.opener.isOpen) act();
    else pswp.on("openingAnimationEnd", () => setTimeout(act));
  }

  function close() {
    whenOpen(() => pswp.close());
  }

  function findThumb(/** @type {Shot} */ shot, /** @type {number} */ i) {
    const link = shot.link ?? (i === index ? trigger : null);
    const img = link && find(link, "img", HTMLImageElement);
    return img?.naturalWidth ? img : null;
  }

  const getShot = () => shots[pswp.currIndex];

  // --- Messages ---

  const voice = make("p", { className: "unseen", role: "status" });
  const note = make("p", { className: "viewer-note" });
  let noteTimer = 0;

  function show(/** @type {string} */ text, stays = false) {
    note.textContent = voice.textContent = text;
    clearTimeout(noteTimer);
    if (!stays) noteTimer = setTimeout(() => note.replaceChildren(), NOTE_MS);
  }

  showFullImages(pswp, show);
  // Not where the page itself opened at the video: nobody has asked for sound.
  const isAsked = trigger && navigator.userActivation?.isActive;
  const videos = new Videos(pswp, isAsked ? shots[index] : null);

  // --- The bar ---

  const buttons = /** @type {Record<string, HTMLElement>} */ ({});
  const count = make("span", { className: "viewer-count", role: "img", hidden: shots.length < 2 });

  /** @type {(name: string, order: number, symbol: string, more: object) => void} */
  function addButton(name, order, symbol, more) {
    pswp.ui?.registerElement({
      name,
      order,
      isButton: true,
      title: t(name),
      html: icon(symbol).outerHTML,
      onInit: (element) => (buttons[name] = element),
      ...more,
    });
  }

  /** @param {string} name @param {string} symbol @param {string} title */
  function changeButton(name, symbol, title) {
    const button = buttons[name];
    get(button, "use", SVGElement).setAttribute("href", getIconUrl(symbol));
    button.title = button.ariaLabel = title;
  }

  pswp.on("uiRegister", () => {
    pswp.ui?.registerElement({ name: "viewer-title", order: 1, onInit: fillTitle });
    if (shots.length > 1) {
      addButton("play", 9, "play", { onClick: () => (slideTimer ? pause() : play()) });
      addButton("compare", 10, "columns-2", { onClick: compare });
      const onClick = () => {
        strip.toggle();
        buttons["strip-switch"].ariaExpanded = String(strip.isOpen);
        pswp.updateSize(true);
      };
      addButton("strip-switch", 11, "images", { title: t("strip"), onClick });
    }
    if (label) {
      addButton("label", 8, "info", { title: t("about"), onClick: toggleLabel });
    }
    if (document.fullscreenEnabled) {
      const onClick = () => {
        if (document.fullscreenElement) document.exitFullscreen();
        else document.documentElement.requestFullscreen().catch(() => {});
      };
      addButton("fullscreen", 12, "maximize", { onClick });
    }
    const onClick = async () => {
      if (await share(work.title, getShot().url)) show(t("copied"));
    };
    addButton("share", 13, "share-2", { onClick });
    if (shots.some((shot) => shot.full)) addButton("download", 14, "download", { tagName: "a" });
  });

  function fillTitle(/** @type {HTMLElement} */ element) {
    const link = make("a", { href: work.url, dir: "auto", title: t("work_page") }, work.title);
    element.append(link, count);
  }

  /** On a page with the work itself, closing leads to it. */
  function followLink(/** @type {MouseEvent} */ event) {
    const link = closest(event.target, "a", HTMLAnchorElement);
    if (!shots[0].link || link?.getAttribute("href") !== work.url || isModified(event)) return;
    event.preventDefault();
    close();
  }

  function toggleLabel() {
    label?.toggle();
    pswp.updateSize(true);
  }

  function drawFullscreenButton() {
    if (document.fullscreenElement) changeButton("fullscreen", "minimize", t("fullscreen_end"));
    else changeButton("fullscreen", "maximize", t("fullscreen"));
  }

  // --- The slideshow ---

  let slideTimer = 0;

  function play() {
    slideTimer = setInterval(() => {
      if (!videos.isPlaying) pswp.goTo((pswp.currIndex + 1) % shots.length);
    }, SLIDE_MS);
    changeButton("play", "pause", t("pause"));
  }

  function pause() {
    if (!slideTimer) return;
    clearInterval(slideTimer);
    slideTimer = 0;
    changeButton("play", "play", t("play"));
  }

  // --- Comparing ---

  let isComparing = false;
  // Back closes the viewer even while two shots are compared.
  const closing = new AbortController();

  async function compare() {
    if (isComparing) return;
    pause();
    isComparing = true;
    try {
      const { compareShots } = await import("./compare.js");
      await compareShots(shots, pswp.currIndex, describe, closing.signal);
    } catch {
      show(t("broken"));
    }
    isComparing = false;
    if (!closing.signal.aborted) buttons.compare.focus();
  }

  // The signed address has expired, or the storage was down: the permanent one leads to a new one.
  const retried = /** @type {Set<Shot>} */ (new Set());
  pswp.on("loadError", ({ content }) => {
    const shot = /** @type {Shot} */ (content.data.shot);
    if (retried.has(shot) || !shot.lasting) return;
    retried.add(shot);
    content.data.src = makeLastingUrl(shot.lasting, 1920);
    setTimeout(() => {
      if (!closing.signal.aborted) pswp.refreshSlideContent(content.index);
    });
  });

  // --- Keys, and the bar that hides ---

  let idleTimer = 0;

  function wake() {
    pswp.element?.classList.remove("is-idle");
    clearTimeout(idleTimer);
    idleTimer = setTimeout(() => {
      const focused = pswp.element?.querySelector(":focus-visible");
      if (!isComparing && !focused?.matches("button, a")) pswp.element?.classList.add("is-idle");
    }, IDLE_MS);
  }

  function zoomBy(/** @type {number} */ factor) {
    const slide = pswp.currSlide;
    if (!slide) return;
    const { fit, max } = slide.zoomLevels;
    const level = Math.min(max, Math.max(fit, slide.currZoomLevel * factor));
    slide.zoomTo(level, undefined, isStill ? 0 : 160);
  }

  const isZoomed = () => {
    const slide = pswp.currSlide;
    return Boolean(slide && slide.currZoomLevel > slide.zoomLevels.fit * 1.01);
  };

  /** @type {Record<string, () => unknown>} */
  const actions = {
    "+": () => zoomBy(1.5),
    "=": () => zoomBy(1.5),
    "-": () => zoomBy(1 / 1.5),
    0: () => zoomBy(0),
    Home: () => pswp.goTo(0),
    End: () => pswp.goTo(shots.length - 1),
    f: () => buttons.fullscreen?.click(),
    s: () => buttons.play?.click(),
    c: () => buttons.compare?.click(),
    i: () => buttons.label?.click(),
  };

  pswp.on("keydown", (event) => {
    const key = event.originalEvent;
    wake();
    if (isComparing) {
      event.preventDefault();
      return;
    }
    if (key.ctrlKey || key.metaKey || key.altKey) return;
    if (videos.takesKey(key)) {
      event.preventDefault();
      return;
    }
    const action = actions[key.key];
    if (action) {
      key.preventDefault();
      action();
    } else if (key.key === "Escape" && isZoomed()) {
      // The next one closes.
      event.preventDefault();
      zoomBy(0);
    } else if (key.key === "ArrowLeft" || key.key === "ArrowRight") {
      pause();
    }
  });

  /** PhotoSwipe listens to keys only once it is open: one that comes before takes effect then. */
  function keepKey(/** @type {KeyboardEvent} */ event) {
    if (pswp.opener.isOpen || event.ctrlKey || event.metaKey || event.altKey) return;
    const early = { Escape: close, ArrowRight: () => pswp.next(), ArrowLeft: () => pswp.prev() };
    const action = { ...early, ...actions }[event.key];
    if (!action) return;
    event.preventDefault();
    whenOpen(action);
  }

  // --- Opening and closing ---

  const inert = /** @type {HTMLElement[]} */ ([]);

  pswp.on("afterInit", () => {
    const element = /** @type {HTMLElement} */ (pswp.element);
    element.ariaModal = "true";
    element.ariaLabel = `${t("viewer")}: ${work.title}`;
    element.append(voice, note);
    if (shots.length > 1) {
      element.append(strip.element);
      buttons["strip-switch"].ariaExpanded = String(strip.isOpen);
    }
    label?.attach(element, buttons.label);
    element.addEventListener("click", followLink);
    strip.mark(pswp.currIndex, scrolling);
    for (const other of document.body.children) {
      if (!(other instanceof HTMLElement) || other === element || other.inert) continue;
      other.inert = true;
      inert.push(other);
    }
    element.focus();
    document.addEventListener("keydown", keepKey, { signal: closing.signal });
    element.addEventListener("pointermove", wake);
    element.addEventListener("pointerdown", ({ target }) => {
      wake();
      // Its own button would start it again.
      if (!buttons.play?.contains(/** @type {Node} */ (target))) pause();
    });
    element.addEventListener("focusin", wake);
    if (buttons.fullscreen) document.addEventListener("fullscreenchange", drawFullscreenButton);
    wake();
  });
  pswp.on("change", () => {
    const shot = getShot();
    handle.number = shot.number;
    strip.mark(pswp.currIndex, scrolling);
    count.textContent = `${shot.position} / ${shots.length}`;
    count.ariaLabel = describe(shot);
    const { full, fullLabel } = shot;
    const download = { rel: "nofollow", href: full || shot.url, hidden: !full };
    if (buttons.download) {
      Object.assign(buttons.download, download, { title: fullLabel, ariaLabel: fullLabel });
    }
    onTurn(shot);
    if (!slideTimer) voice.textContent = `${describe(shot)}: ${shot.alt}`;
  });
  pswp.on("close", () => {
    pause();
    clearTimeout(idleTimer);
    closing.abort();
    if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
    strip.element.remove();
    for (const other of inert) other.inert = false;
    onClose();
  });
  pswp.on("destroy", () => {
    document.removeEventListener("fullscreenchange", drawFullscreenButton);
    // The focus stays where the visitor has moved it; and when Back leads to an address with a
    // fragment, the browser moves it to what that names.
    const { activeElement } = document;
    if (activeElement?.matches("body, :target") || pswp.element?.contains(activeElement)) onGone();
  });

  pswp.init();
  return handle;
}
