// The calls of an upload session: send a fragment, ask where to go on, end it. Fragments go one
// after the other, each with all its bytes or none.

import { readRetryAfter } from "./http.js";

// Fragments are multiples of this, below 60 MiB; 5 to 10 MiB are advised (Microsoft Graph,
// "driveItem: createUploadSession").
const STEP_BYTES = 327_680;
const FIRST_STEPS = 16;
const MAX_STEPS = 32;
const MIN_STEPS = 4;
const FAST_MS = 1500;
const SLOW_MS = 15_000;

const STALL_MS = 60_000;
// After the last byte OneDrive puts the file into its place before it answers.
const LAST_STALL_MS = 300_000;
const DROP_MS = 10_000;

// Hosts that the page's security policy forbids: to a script that looks like a lost network.
const forbidden = /** @type {Set<string>} */ (new Set());
document.addEventListener("securitypolicyviolation", ({ blockedURI, effectiveDirective }) => {
  if (effectiveDirective === "connect-src" && URL.canParse(blockedURI)) {
    forbidden.add(new URL(blockedURI).host);
  }
});

/** Return the host of a session's address, if the page may not send anything there; else "". */
export function findForbiddenHost(/** @type {string} */ url) {
  const { host } = new URL(url);
  return forbidden.has(host) ? host : "";
}

/** How large fragments are. A lost one is lost as a whole, so a slow network gets smaller ones. */
export class Pace {
  #steps = FIRST_STEPS;

  get bytes() {
    return this.#steps * STEP_BYTES;
  }

  /** @param {number} size bytes that were sent @param {number} milliseconds that they took */
  note(size, milliseconds) {
    if (size >= this.bytes && milliseconds < FAST_MS) {
      this.#steps = Math.min(MAX_STEPS, this.#steps * 2);
    } else if (milliseconds > SLOW_MS) {
      this.slow();
    }
  }

  slow() {
    this.#steps = Math.max(MIN_STEPS, this.#steps >> 1);
  }
}

/** `status`: 0 where the network failed. `end`: place behind the last byte. `retryAfter`: in ms.
 * @typedef {{ status: number, end: number, body?: any, retryAfter: number }} FragmentAnswer */

/** Send the next bytes of a file. By XMLHttpRequest, since fetch reports no progress of a body.
 * `tell` is called with the bytes that have gone.
 * @param {string} url @param {File} file @param {number} begin place of the first byte
 * @param {{ signal: AbortSignal, pace: Pace, tell: (loaded: number) => void }} options
 * @returns {Promise<FragmentAnswer>} */
export function sendFragment(url, file, begin, { signal, pace, tell }) {
  const end = Math.min(begin + pace.bytes, file.size);
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let stall = 0;
    const abort = () => request.abort();
    const finish = (/** @type {Omit<FragmentAnswer, "end">} */ answer) => {
      clearTimeout(stall);
      signal.removeEventListener("abort", abort);
      if (signal.aborted) reject(signal.reason);
      else resolve({ end, ...answer });
    };
    const fail = () => {
      if (!signal.aborted) pace.slow();
      finish({ status: 0, retryAfter: 0 });
    };
    const watch = (/** @type {number} */ loaded) => {
      clearTimeout(stall);
      stall = setTimeout(abort, begin + loaded < file.size ? STALL_MS : LAST_STALL_MS);
    };
    request.open("PUT", url);
    request.responseType = "json";
    request.setRequestHeader("Content-Range", `bytes ${begin}-${end - 1}/${file.size}`);
    request.upload.addEventListener("progress", ({ loaded }) => {
      watch(loaded);
      tell(loaded);
    });
    request.addEventListener("load", () => {
      const { status } = request;
      if (status < 300) pace.note(end - begin, performance.now() - started);
      // Asking for a header that OneDrive does not show to scripts would be logged as an error.
      const isTold = /^retry-after:/im.test(request.getAllResponseHeaders());
      const retryAfter = isTold ? readRetryAfter(request.getResponseHeader("Retry-After")) : 0;
      finish({ status, body: request.response, retryAfter });
    });
    request.onerror = request.onabort = fail;
    signal.addEventListener("abort", abort);
    watch(0);
    request.send(file.slice(begin, end));
  });
}

/** "known": OneDrive goes on at `start`. "unplaced": all bytes are there, but the file was not put
 * into its place. "gone": the session is over. "refused": it takes nothing more though it may still
 * be open. "unreached": there was no answer. "again": the answer did not say.
 * @typedef {{ state: "known", start: number } | { state: "again", retryAfter?: number }
 *   | { state: "unplaced" | "gone" | "refused" | "unreached" }} Position */

/** Ask OneDrive where it goes on.
 * @param {string} url @param {AbortSignal} signal @returns {Promise<Position>} */
export async function askPosition(url, signal) {
  let answer;
  try {
    answer = await fetch(url, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(STALL_MS)]),
      referrerPolicy: "no-referrer",
      cache: "no-store",
    });
  } catch {
    signal.throwIfAborted();
    return { state: "unreached" };
  }
  if ([404, 410].includes(answer.status)) return { state: "gone" };
  if ([401, 403].includes(answer.status)) return { state: "refused" };
  if (!answer.ok) {
    return { state: "again", retryAfter: readRetryAfter(answer.headers.get("Retry-After")) };
  }
  try {
    const { nextExpectedRanges = [] } = await answer.json();
    const start = Number.parseInt(nextExpectedRanges[0] ?? "", 10);
    return Number.isNaN(start) ? { state: "unplaced" } : { state: "known", start };
  } catch {
    signal.throwIfAborted();
    return { state: "again" };
  }
}

/** End a session, so that the name is free at once; OneDrive drops an open session by itself later.
 * @param {string} url */
export async function dropSession(url) {
  const options = { method: "DELETE", keepalive: true, referrerPolicy: "no-referrer" };
  const signal = AbortSignal.timeout(DROP_MS);
  await fetch(url, /** @type {RequestInit} */ ({ ...options, signal })).catch(() => {});
}
