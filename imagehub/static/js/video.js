// Plays videos. OneDrive's addresses expire: then the hub's own address is asked for a new one, and
// the video goes on at the same second. Some browsers report an error then; others ask the old
// address again and again, and nothing moves. Where a browser cannot play a video, the still stays.

import { find, findAll, get, make } from "./dom.js";
import { t } from "./words.js";

const MOST_RETRIES = 3;
// After so much of the video, what went wrong before no longer counts.
const RECOVERED_SECONDS = 20;
const STALLED_MS = 5000;

/** Ask for a new address when playing ends with an error, a few times.
 * @param {HTMLVideoElement} video @param {string} url the hub's address of the video
 * @param {() => void} onFault called once when it cannot be played */
export function keepPlaying(video, url, onFault) {
  let retries = 0;
  let failedAt = 0;
  let at = 0;
  let isWanted = false;
  let stallTimer = 0;

  video.addEventListener("play", () => (isWanted = true));
  video.addEventListener("pause", () => {
    if (!video.error) isWanted = false;
  });
  video.addEventListener("timeupdate", () => {
    // Loading anew begins at 0.
    if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA || video.seeking) return;
    at = video.currentTime;
    if (Math.abs(at - failedAt) > RECOVERED_SECONDS) retries = 0;
  });
  video.addEventListener("seeking", () => {
    if (video.readyState >= HTMLMediaElement.HAVE_METADATA) at = video.currentTime;
  });

  video.addEventListener("waiting", watch);
  for (const name of ["playing", "pause", "emptied"]) {
    video.addEventListener(name, () => clearTimeout(stallTimer));
  }
  // Also of its source, which does not bubble.
  video.addEventListener("error", onError, true);

  /** Renew the address when the video waits and no more of it arrives. */
  function watch() {
    clearTimeout(stallTimer);
    if (video.readyState < HTMLMediaElement.HAVE_METADATA) return;
    const before = measureLoaded(video);
    stallTimer = setTimeout(() => {
      if (measureLoaded(video) > before) watch();
      else if (retries < MOST_RETRIES) renew();
    }, STALLED_MS);
  }

  function onError() {
    const isBroken = video.error?.code === MediaError.MEDIA_ERR_DECODE;
    if (isBroken || retries >= (at > 0 ? MOST_RETRIES : 1)) giveUp();
    else renew();
  }

  function renew() {
    retries += 1;
    failedAt = at;
    const mustPlay = isWanted;
    const place = at;
    video.addEventListener(
      "loadedmetadata",
      () => {
        if (place) video.currentTime = place;
        if (mustPlay) video.play().catch(() => {});
      },
      { once: true },
    );
    // Otherwise nothing is loaded before it is to be played, and it is played once it is loaded.
    video.preload = "auto";
    // Another address each time, so that the browser does not use what it knows of the old one.
    video.src = `${url}?again=${retries}`;
    video.load();
  }

  function giveUp() {
    clearTimeout(stallTimer);
    video.removeEventListener("error", onError, true);
    video.removeAttribute("src");
    video.replaceChildren();
    video.controls = false;
    video.load();
    onFault();
  }
}

/** Return how many seconds of a video the browser has. @param {HTMLVideoElement} video */
function measureLoaded({ buffered }) {
  let seconds = 0;
  for (let i = 0; i < buffered.length; i += 1) seconds += buffered.end(i) - buffered.start(i);
  return seconds;
}

/** Say that a video cannot be played here, and offer the download if there is one.
 * @param {HTMLElement} place @param {string} full @param {string} fullLabel */
export function sayCannotPlay(place, full, fullLabel) {
  place.append(t("cannot_play"));
  if (full) place.append(" ", make("a", { href: full, rel: "nofollow" }, fullLabel));
}

/** Whether the visitor's device asks for as little motion as possible. */
export const stillness = matchMedia("(prefers-reduced-motion: reduce)");

/** Play a video that is set to play in a loop while it is in view, unless motion is unwanted or
 * the visitor has paused it. @param {HTMLVideoElement} video */
export function loopInView(video) {
  let isInView = false;
  let isPaused = false;
  video.muted = true;
  video.addEventListener("pause", () => (isPaused = isInView && !video.ended));
  video.addEventListener("play", () => (isPaused = false));
  // It may become unwanted while the video plays.
  stillness.addEventListener("change", () => stillness.matches && video.pause());
  new IntersectionObserver(([entry]) => {
    isInView = entry.isIntersecting;
    if (!isInView) video.pause();
    else if (!isPaused && !stillness.matches) video.play().catch(() => {});
  }).observe(video);
}

/** Set up the videos on a page. @param {ParentNode} page */
export function setUpVideos(page) {
  for (const video of findAll(page, "video[data-video]", HTMLVideoElement)) {
    const around = /** @type {HTMLElement} */ (video.parentElement);
    const { full = "", fullLabel = "" } = find(around, "a[data-shot]")?.dataset ?? {};
    keepPlaying(video, video.dataset.video ?? "", () =>
      sayCannotPlay(get(around, "[data-video-fault]"), full, fullLabel),
    );
    if (video.loop) loopInView(video);
  }
}
