// The viewer: PhotoSwipe for zoom and touch, with our own bar, filmstrip, slideshow and comparison.
//
// A shot is shown as its rendition of 1920 pixels at once. Its measures are the original's, so that
// zooming reaches real pixels; when the rendition gets too coarse for the zoom, the original is
// fetched from OneDrive by way of our own address, where browsers can show it.

import PhotoSwipe from "../vendor/photoswipe.js";

import { makeLastingUrl } from "./renditions.js";
import { share } from "./share.js";
import { words } from "./words.js";

const IDLE_MS = 2800;
const SLIDE_MS = 5000;
const STRIP_PX = 84;
// A rendition may be stretched so much before the original is asked for.
const COARSE = 1.1;

const assets = new URL("..", import.meta.url).href;
const icon = (name) =>
  `<svg class="icon" aria-hidden="true"><use href="${assets}vendor/icons.svg#${name}"></use></svg>`;

const styles = Promise.all(
  ["vendor/photoswipe.css", "css/viewer.css"].map(
    (name) =>
      new Promise((resolve) => {
        const link = document.createElement("link");
        link.rel = "stylesheet";
        link.href = assets + name;
        link.onload = link.onerror = resolve;
        document.head.append(link);
      }),
  ),
);
await styles;

/**
 * Opens the viewer.
 * @param {object} work as read by opening.js.
 * @param {number} index which shot to begin with.
 * @param {?Element} trigger the link it opens from; its picture grows into the viewer.
 * @returns {{close: Function, number: number}} `number` is that of the shot in view.
 */
export function open({ work, index, trigger, onTurn, onClose, onGone }) {
  const shots = work.shots;
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const isSmall = matchMedia("(max-width: 700px)");
  const handle = { close, number: shots[index].number };
  let hasStrip = shots.length > 1 && localStorage.getItem("strip") !== "off";

  const pswp = new PhotoSwipe({
    dataSource: shots.map((shot, i) => ({
      shot,
      src: shot.src || makeLastingUrl(shot.lasting, 1920),
      width: shot.fullWidth,
      height: shot.fullHeight,
      alt: shot.alt,
      msrc: getThumb(shot, i)?.currentSrc || shot.small,
      element: getThumb(shot, i)?.closest("a"),
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
    zoomAnimationDuration: isStill ? 0 : 240,
    // Without an animation PhotoSwipe would put the original's measures on the thumbnail at once.
    maxWidthToAnimate: 100000,
    paddingFn: () => {
      const side = isSmall.matches ? 0 : 24;
      return { top: 56, bottom: hasStrip ? STRIP_PX + 12 : side || 16, left: side, right: side };
    },
    secondaryZoomLevel: ({ fit }) => Math.max(fit, Math.min(realPixels(), fit * 3)),
    maxZoomLevel: ({ fit }) => Math.max(realPixels(), fit * 2),
    closeTitle: words.close,
    zoomTitle: words.zoom,
    arrowPrevTitle: words.previous,
    arrowNextTitle: words.next,
    errorMsg: words.broken,
    closeSVG: icon("x"),
    zoomSVG: icon("zoom-in"),
    arrowPrevSVG: icon("chevron-left"),
    arrowNextSVG: icon("chevron-right"),
    counter: false,
  });

  // PhotoSwipe neither closes nor turns while it opens: then it does so right after.
  function whenOpen(act) {
    if (pswp.opener.isOpen) act();
    else pswp.on("openingAnimationEnd", () => setTimeout(act));
  }

  function close() {
    whenOpen(() => pswp.close());
  }

  // One pixel of the original on one of the screen.
  function realPixels() {
    return 1 / devicePixelRatio;
  }

  function getThumb(shot, i) {
    const link = shot.link ?? (i === index ? trigger : null);
    const img = link?.querySelector("img");
    return img?.naturalWidth ? img : null;
  }

  const current = () => shots[pswp.currIndex];

  // --- Words ---

  const voice = document.createElement("p");
  voice.className = "unseen";
  voice.setAttribute("role", "status");
  const note = document.createElement("p");
  note.className = "viewer-note";
  let noteTimer = 0;

  function say(text) {
    voice.textContent = text;
  }

  function show(text, stays = false) {
    note.textContent = text;
    say(text);
    clearTimeout(noteTimer);
    if (!stays) noteTimer = setTimeout(() => note.replaceChildren(), 2500);
  }

  const sayShot = (shot) =>
    words.shot.replace("{number}", shot.position).replace("{count}", shots.length);

  // --- The bar ---

  const buttons = {};

  function addButton(name, order, iconName, label, onClick) {
    pswp.ui.registerElement({
      name,
      order,
      isButton: true,
      title: label,
      html: icon(iconName),
      onInit: (element) => {
        buttons[name] = element;
      },
      onClick,
    });
  }

  function turnButton(name, iconName, label) {
    buttons[name].querySelector("use").setAttribute("href", `${assets}vendor/icons.svg#${iconName}`);
    buttons[name].title = label;
    buttons[name].setAttribute("aria-label", label);
  }

  pswp.on("uiRegister", () => {
    pswp.ui.registerElement({
      name: "viewer-title",
      order: 1,
      onInit: (element) => {
        const link = document.createElement("a");
        link.href = work.url;
        link.dir = "auto";
        link.textContent = work.title;
        link.title = words.about;
        link.addEventListener("click", (event) => {
          // On the work's own page closing leads there.
          if (!shots[0].link) return;
          event.preventDefault();
          close();
        });
        const count = document.createElement("span");
        count.className = "viewer-count";
        element.append(link, count);
        pswp.on("change", () => {
          count.textContent = shots.length > 1 ? `${current().position} / ${shots.length}` : "";
          count.setAttribute("aria-label", sayShot(current()));
        });
      },
    });
    if (shots.length > 1) {
      addButton("play", 9, "play", words.play, () => (slideTimer ? pause() : play()));
      addButton("compare", 10, "columns-2", words.compare, compare);
      addButton("strip-switch", 11, "images", words.strip, switchStrip);
    }
    if (document.fullscreenEnabled) {
      addButton("fullscreen", 12, "maximize", words.fullscreen, () => {
        if (document.fullscreenElement) document.exitFullscreen();
        else document.documentElement.requestFullscreen().catch(() => {});
      });
    }
    addButton("share", 13, "share-2", words.share, async () => {
      if (await share(work.title, current().url)) show(words.copied);
    });
    if (shots.some((shot) => shot.full)) {
      pswp.ui.registerElement({
        name: "download",
        order: 14,
        isButton: true,
        tagName: "a",
        title: words.download,
        html: icon("download"),
        onInit: (element) => {
          element.rel = "nofollow";
          pswp.on("change", () => {
            element.href = current().full || current().url;
            element.hidden = !current().full;
          });
        },
      });
    }
  });

  function keepFullscreenButton() {
    const isFull = Boolean(document.fullscreenElement);
    turnButton(
      "fullscreen",
      isFull ? "minimize" : "maximize",
      isFull ? words.fullscreen_end : words.fullscreen,
    );
  }

  // --- The filmstrip ---

  let strip = null;

  function makeStrip() {
    strip = document.createElement("nav");
    strip.className = "viewer-strip";
    strip.setAttribute("aria-label", words.shots);
    strip.hidden = !hasStrip;
    shots.forEach((shot, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-label", sayShot(shot));
      const img = document.createElement("img");
      img.alt = "";
      img.width = shot.width;
      img.height = shot.height;
      img.onerror = () => {
        img.onerror = null;
        img.src = makeLastingUrl(shot.lasting, 480);
      };
      img.src = shot.small;
      button.append(img);
      button.addEventListener("click", () => pswp.goTo(i));
      strip.append(button);
    });
    pswp.element.append(strip);
  }

  function markStrip() {
    [...(strip?.children ?? [])].forEach((button, i) => {
      if (i !== pswp.currIndex) {
        button.removeAttribute("aria-current");
        return;
      }
      button.setAttribute("aria-current", "true");
      strip.scrollTo({
        left: button.offsetLeft - (strip.clientWidth - button.clientWidth) / 2,
        behavior: isStill ? "auto" : "smooth",
      });
    });
  }

  function switchStrip() {
    hasStrip = !hasStrip;
    localStorage.setItem("strip", hasStrip ? "on" : "off");
    strip.hidden = !hasStrip;
    buttons["strip-switch"].setAttribute("aria-expanded", hasStrip);
    pswp.updateSize(true);
  }

  // --- The slideshow ---

  let slideTimer = 0;

  function play() {
    slideTimer = setInterval(() => {
      pswp.goTo((pswp.currIndex + 1) % shots.length);
    }, SLIDE_MS);
    turnButton("play", "pause", words.pause);
  }

  function pause() {
    if (!slideTimer) return;
    clearInterval(slideTimer);
    slideTimer = 0;
    turnButton("play", "play", words.play);
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
      const { signal } = closing;
      await compareShots({ shots, first: pswp.currIndex, icon, sayShot, words, signal });
    } catch {
      show(words.broken);
    }
    isComparing = false;
    if (!closing.signal.aborted) buttons.compare.focus();
  }

  // --- The full image ---

  let fetching = null; // The shot in view, while words about its full image stand there.

  async function fetchFull(slide) {
    const { shot } = slide.data;
    const coming = slide.content;
    const painted = slide.currZoomLevel * shot.fullWidth * devicePixelRatio;
    if (!shot.zoom || shot.isFetched || !coming.isImageContent() || painted < shot.width * COARSE) {
      return;
    }
    shot.isFetched = true;
    fetching = shot;
    show(words.sharper, true);
    const img = new Image();
    img.src = shot.zoom;
    const hasCome = await img.decode().then(
      () => true,
      () => false,
    );
    if (fetching === shot) {
      fetching = null;
      show(hasCome ? "" : words.not_sharp);
    }
    if (!hasCome) return;
    shot.fullImage = img;
    putFull(coming);
  }

  // Words about a shot go with it.
  function stopWaiting() {
    if (!fetching || fetching === current()) return;
    fetching = null;
    show("");
  }

  // PhotoSwipe moves and sizes whatever element its content names.
  function putFull(content) {
    const img = content.data.shot.fullImage;
    const old = content.element;
    if (!img || !old || old === img) return;
    img.className = old.className;
    img.alt = old.alt;
    img.style.width = old.style.width;
    img.style.height = old.style.height;
    old.replaceWith(img);
    content.element = img;
  }

  pswp.on("zoomPanUpdate", ({ slide }) => {
    if (slide === pswp.currSlide) fetchFull(slide);
  });
  pswp.on("contentAppend", ({ content }) => queueMicrotask(() => putFull(content)));

  // An address that ran out, or a storage that was away: the lasting address leads to a fresh one.
  pswp.on("loadError", ({ content }) => {
    const item = content.data;
    if (item.isAskedAgain || !item.shot.lasting) return;
    item.isAskedAgain = true;
    item.src = makeLastingUrl(item.shot.lasting, 1920);
    setTimeout(() => {
      if (!closing.signal.aborted) pswp.refreshSlideContent(content.index);
    });
  });

  // --- Coming and going ---

  let idleTimer = 0;

  function wake() {
    pswp.element?.classList.remove("is-idle");
    clearTimeout(idleTimer);
    idleTimer = setTimeout(() => {
      const focused = pswp.element?.querySelector(":focus-visible");
      if (!isComparing && !focused?.matches("button, a")) pswp.element?.classList.add("is-idle");
    }, IDLE_MS);
  }

  function onKey(event) {
    const { key } = event.originalEvent;
    wake();
    if (isComparing) {
      event.preventDefault();
      return;
    }
    const { ctrlKey, metaKey, altKey } = event.originalEvent;
    if (ctrlKey || metaKey || altKey) return;
    const slide = pswp.currSlide;
    const actions = {
      "+": () => zoomBy(slide, 1.5),
      "=": () => zoomBy(slide, 1.5),
      "-": () => zoomBy(slide, 1 / 1.5),
      0: () => slide.zoomTo(slide.zoomLevels.fit, undefined, 200),
      Home: () => pswp.goTo(0),
      End: () => pswp.goTo(shots.length - 1),
      f: () => buttons.fullscreen?.click(),
      s: () => buttons.play?.click(),
      c: () => buttons.compare?.click(),
    };
    const action = actions[key];
    if (action) {
      event.originalEvent.preventDefault();
      action();
    } else if (key === "ArrowLeft" || key === "ArrowRight") {
      pause();
    }
  }

  function zoomBy(slide, factor) {
    const level = slide.currZoomLevel * factor;
    const { fit, max } = slide.zoomLevels;
    slide.zoomTo(Math.min(max, Math.max(fit, level)), undefined, isStill ? 0 : 160);
  }

  const behind = [];

  pswp.on("afterInit", () => {
    const { element } = pswp;
    element.setAttribute("aria-modal", "true");
    element.setAttribute("aria-label", `${words.viewer}: ${work.title}`);
    element.append(voice, note);
    if (shots.length > 1) {
      makeStrip();
      buttons["strip-switch"].setAttribute("aria-expanded", hasStrip);
    }
    markStrip();
    for (const one of document.body.children) {
      if (one !== element && !one.inert) {
        one.inert = true;
        behind.push(one);
      }
    }
    element.focus();
    // PhotoSwipe listens to keys only once it is open.
    element.addEventListener("keydown", (event) => {
      if (pswp.opener.isOpen || closing.signal.aborted) return;
      if (event.key === "Escape") close();
      else if (event.key === "ArrowRight") whenOpen(() => pswp.next());
      else if (event.key === "ArrowLeft") whenOpen(() => pswp.prev());
    });
    element.addEventListener("pointermove", wake);
    element.addEventListener("pointerdown", (event) => {
      wake();
      // Its own button would begin it anew.
      if (!buttons.play?.contains(event.target)) pause();
    });
    element.addEventListener("focusin", wake);
    if (buttons.fullscreen) document.addEventListener("fullscreenchange", keepFullscreenButton);
    wake();
  });
  pswp.on("keydown", onKey);
  pswp.on("change", () => {
    const shot = current();
    handle.number = shot.number;
    stopWaiting();
    markStrip();
    onTurn(shot);
    if (!slideTimer) say(`${sayShot(shot)}: ${shot.alt}`);
  });
  pswp.on("close", () => {
    pause();
    clearTimeout(idleTimer);
    closing.abort();
    if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
    strip?.remove();
    for (const one of behind) one.inert = false;
    onClose();
  });
  pswp.on("destroy", () => {
    document.removeEventListener("fullscreenchange", keepFullscreenButton);
    // Whoever has gone elsewhere in the meantime stays there; going back to an address with a
    // fragment, it is the browser that goes to what it names.
    const focused = document.activeElement;
    if (focused.matches("body, :target") || pswp.element.contains(focused)) onGone();
  });

  pswp.init();
  return handle;
}
