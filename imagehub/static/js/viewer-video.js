// The viewer's videos, with the browser's own controls.

import { closest, make } from "./dom.js";
import { makeLastingUrl } from "./renditions.js";
import { keepPlaying, sayCannotPlay, stillness } from "./video.js";

/** @import PhotoSwipe from "photoswipe" */

// Where the controls of the browser are, in CSS pixels from the bottom of a video.
const CONTROLS_PX = 88;

export class Videos {
  #pswp;
  #videos = /** @type {Map<Shot, HTMLVideoElement>} */ (new Map());
  #mustPlay;

  /** @param {PhotoSwipe} pswp @param {?Shot} wanted the shot that is to be played at once */
  constructor(pswp, wanted) {
    this.#pswp = pswp;
    this.#mustPlay = wanted;
    pswp.addFilter("useContentPlaceholder", (uses, { data }) => uses || Boolean(data.shot.video));
    pswp.on("contentLoad", (event) => {
      const { content } = event;
      const shot = /** @type {Shot} */ (content.data.shot);
      if (!shot.video) return;
      event.preventDefault();
      content.element ??= this.#make(shot);
      content.onLoaded();
    });
    pswp.on("contentActivate", ({ content }) => this.#activate(content.data.shot));
    pswp.on("contentDeactivate", ({ content }) => this.#videos.get(content.data.shot)?.pause());
    // Motion may become unwanted while a video plays.
    const stop = () => stillness.matches && this.#isLooping && this.#current?.pause();
    stillness.addEventListener("change", stop);
    pswp.on("close", () => {
      stillness.removeEventListener("change", stop);
      this.#videos.forEach((video) => video.pause());
    });
    pswp.on("pointerDown", (event) => {
      const { originalEvent: at } = event;
      const video = closest(at.target, "video");
      const fromBottom = video ? video.getBoundingClientRect().bottom - at.clientY : Infinity;
      // A finger on the video turns to another shot; the controls and a mouse are the browser's.
      if (video && (at.pointerType === "mouse" || fromBottom < CONTROLS_PX)) event.preventDefault();
    });
  }

  /** @param {Shot} shot */
  #make(shot) {
    const video = make(
      "video",
      {
        className: "viewer-video",
        controls: true,
        playsInline: true,
        preload: "none",
        poster: makeLastingUrl(shot.lasting, 1920),
        loop: shot.isLoop,
        muted: shot.isLoop,
        ariaLabel: shot.alt,
      },
      make("source", { src: shot.video, type: shot.videoType }),
    );
    const fault = make("p", { className: "video-fault", role: "status" });
    keepPlaying(video, shot.video, () => sayCannotPlay(fault, shot.full, shot.fullLabel));
    this.#videos.set(shot, video);
    return make("div", { className: "pswp__content viewer-video-frame" }, video, fault);
  }

  /** @param {Shot} shot */
  #activate(shot) {
    const video = this.#videos.get(shot);
    if (!video) return;
    if (shot === this.#mustPlay || (shot.isLoop && !stillness.matches)) video.play().catch(() => {});
    this.#mustPlay = null;
  }

  get #current() {
    return this.#videos.get(this.#pswp.currSlide?.data.shot);
  }

  get #isLooping() {
    return this.#current?.loop === true;
  }

  /** Tell whether a slideshow has to wait for the end of a video. */
  get isPlaying() {
    return this.#current?.paused === false && !this.#isLooping;
  }

  /** Tell whether a key is the video's: all keys while it has the focus, and the space bar.
   * @param {KeyboardEvent} key */
  takesKey(key) {
    const video = this.#current;
    if (!video || key.key === "Escape" || key.key === "Tab") return false;
    if (document.activeElement === video) return true;
    if (key.key !== " " || closest(key.target, "button, a")) return false;
    key.preventDefault();
    if (video.paused) video.play().catch(() => {});
    else video.pause();
    return true;
  }
}
