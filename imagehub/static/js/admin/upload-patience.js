// How long an upload waits, and for what: a network that is gone, a OneDrive that throttles, a
// server that is restarting.

import { CallError, fetchJson } from "./http.js";

export const MAX_TRIES = 12;
// A network that is gone comes back in an hour or two, with nobody there to press a button.
export const MAX_UNREACHED = 120;
const MAX_WAIT_MS = 60_000;
// 409: OneDrive is busy with that item.
const TEMPORARY = new Set([0, 409, 429, 500, 503, 504]);

/** Return the pause after so many tries: twice as long each time, from a second to a minute.
 * @param {number} tries */
export const growWait = (tries) => Math.min(MAX_WAIT_MS, 1000 * 2 ** (tries - 1));

/** Stops one file with a state and a sentence; anything else that is thrown is a failure, too. */
export class Stop extends Error {
  /** @param {UploadState} state @param {string} message
   * @param {{ stopsAll?: boolean, waitMs?: number }} [options] `stopsAll`: no other file can go on
   *   either; `waitMs`: how long a file that goes back to "waiting" lets others go first */
  constructor(state, message, { stopsAll = false, waitMs = 0 } = {}) {
    super(message);
    this.state = state;
    this.stopsAll = stopsAll;
    this.waitMs = waitMs;
  }
}

/** One for all files: what OneDrive asks of one of them applies to the others, too. */
export class Patience {
  #quietUntil = 0;
  #sleepers = /** @type {Set<() => void>} */ (new Set());

  /** @param {number} milliseconds @param {AbortSignal} signal
   * @returns {Promise<void>} is rejected with the reason of an abort */
  sleep(milliseconds, signal) {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        this.#sleepers.delete(end);
        signal.removeEventListener("abort", end);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      const timer = setTimeout(end, milliseconds);
      this.#sleepers.add(end);
      signal.addEventListener("abort", end);
    });
  }

  /** End every pause, unless OneDrive has asked for one. */
  wake() {
    if (this.#quietUntil > Date.now()) return;
    for (const end of [...this.#sleepers]) end();
  }

  /** Wait for a network, and for as long as OneDrive has asked. @param {AbortSignal} signal */
  async waitUntilReady(signal) {
    while (!navigator.onLine) await this.sleep(MAX_WAIT_MS, signal);
    if (this.#quietUntil > Date.now()) await this.sleep(this.#quietUntil - Date.now(), signal);
  }

  /** Wait after so many tries of one file; OneDrive may have asked for `retryAfter` milliseconds.
   * @param {number} tries @param {{ signal: AbortSignal, retryAfter?: number }} options */
  async backOff(tries, { signal, retryAfter = 0 }) {
    const jitter = 0.5 + Math.random() / 2;
    const wait = Math.max(retryAfter, growWait(tries) * jitter);
    if (retryAfter) this.#quietUntil = Math.max(this.#quietUntil, Date.now() + wait);
    await this.sleep(wait, signal);
  }

  /** Call the server, and repeat the call as long as waiting can help.
   * @param {string} url @param {unknown} json @param {AbortSignal} signal
   * @param {{ isCut?: boolean }} [options] `isCut`: an abort ends a running call */
  async call(url, json, signal, { isCut = true } = {}) {
    for (let tries = 1; ; tries++) {
      try {
        return await fetchJson(url, { json, signal: isCut ? signal : undefined });
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof CallError)) throw error;
        const { status, detail, isLost, retryAfter } = error;
        // Signed out, not allowed to write, not connected: that holds for every file.
        if ([400, 401, 403].includes(status) || isLost) {
          throw new Stop("waiting", error.message, { stopsAll: true });
        }
        // A 502 without a detail comes from a proxy in front of a server that is restarting.
        const isTemporary = TEMPORARY.has(status) || (status === 502 && !detail);
        if (!isTemporary || tries > (status ? MAX_TRIES : MAX_UNREACHED)) throw error;
        if (navigator.onLine || status) {
          await this.sleep(Math.max(growWait(tries), retryAfter), signal);
        } else {
          tries -= 1;
          await this.waitUntilReady(signal);
        }
      }
    }
  }
}
