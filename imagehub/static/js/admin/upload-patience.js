// How long an upload waits, and for what: a network that is gone, a OneDrive that asks for quiet, a
// hub that is starting again.

import { fetchJson } from "./http.js";

export const MOST_TRIES = 12;
// A network that is gone comes back in an hour or two, with nobody there to press a button.
export const MOST_UNREACHED = 120;
const LONGEST_WAIT_MS = 60_000;
// 409 where OneDrive has something else to do with that item just now.
const PASSING_HUB = new Set([0, 409, 429, 500, 503, 504]);

// Twice as long after each try, from a second to a minute.
export const growWait = (tries) => Math.min(LONGEST_WAIT_MS, 1000 * 2 ** (tries - 1));

// Stops one file with a state and a sentence; everything else that is thrown is a failure, too.
// `stopsAll`: no other file gets past it either. `waitMs`: how long a file that goes back to
// "waiting" lets others go first.
export class Stop extends Error {
  constructor(state, message, { stopsAll = false, waitMs = 0 } = {}) {
    super(message);
    this.state = state;
    this.stopsAll = stopsAll;
    this.waitMs = waitMs;
  }
}

// One for all files: what OneDrive asks of one of them holds for the others, too.
export class Patience {
  #quietUntil = 0;
  #sleepers = new Set();

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

  // Ends what sleeps, unless OneDrive has asked for quiet.
  wake() {
    if (this.#quietUntil > Date.now()) return;
    for (const end of [...this.#sleepers]) end();
  }

  // Waits until there is a network, and for as long as OneDrive has asked for.
  async beQuiet(signal) {
    while (!navigator.onLine) await this.sleep(LONGEST_WAIT_MS, signal);
    if (this.#quietUntil > Date.now()) await this.sleep(this.#quietUntil - Date.now(), signal);
  }

  // After so many tries of one file. `retryAfter`: milliseconds that OneDrive asked for, if it did.
  async backOff(tries, { signal, retryAfter = 0 }) {
    const jitter = 0.5 + Math.random() / 2;
    const wait = Math.max(retryAfter, growWait(tries) * jitter);
    if (retryAfter) this.#quietUntil = Math.max(this.#quietUntil, Date.now() + wait);
    await this.sleep(wait, signal);
  }

  // A call of the hub, tried again as long as waiting can help. `isCut`: an abort ends it at once.
  async call(url, json, signal, { isCut = true } = {}) {
    for (let tries = 1; ; tries++) {
      try {
        return await fetchJson(url, { json, signal: isCut ? signal : undefined });
      } catch (error) {
        signal.throwIfAborted();
        const { status, detail, isLost, retryAfter } = error;
        // Signed out, not allowed to write, not connected: no file gets past that.
        if ([400, 401, 403].includes(status) || isLost) {
          throw new Stop("waiting", error.message, { stopsAll: true });
        }
        // A 502 without a word is of a proxy in front of a hub that is starting again.
        const isPassing = PASSING_HUB.has(status) || (status === 502 && !detail);
        if (!isPassing || tries > (status ? MOST_TRIES : MOST_UNREACHED)) throw error;
        if (navigator.onLine || status) {
          await this.sleep(Math.max(growWait(tries), retryAfter), signal);
        } else {
          tries -= 1;
          await this.beQuiet(signal);
        }
      }
    }
  }
}
