// The three things that an upload session's address takes: a fragment, a question where to go on,
// and its end. Fragments go one after the other, each with all its bytes or none.

// Fragments are multiples of this, below 60 MiB; 5 to 10 MiB are advised (Microsoft Graph,
// "driveItem: createUploadSession").
const STEP_BYTES = 327_680;
const FIRST_STEPS = 16;
const MOST_STEPS = 32;
const LEAST_STEPS = 4;
const FAST_MS = 1500;
const SLOW_MS = 15_000;

const STALL_MS = 60_000;
// With the last byte there, OneDrive puts the file into its place before it answers.
const LAST_STALL_MS = 300_000;
const DROP_MS = 10_000;

// Hosts to which the page's own rules let nothing go: to a script that reads like a lost network.
const forbidden = new Set();
document.addEventListener("securitypolicyviolation", ({ blockedURI, effectiveDirective }) => {
  if (effectiveDirective === "connect-src" && URL.canParse(blockedURI)) {
    forbidden.add(new URL(blockedURI).host);
  }
});

// The host of a session's address, if the page may not send anything there; "" otherwise.
export function findForbiddenHost(url) {
  const { host } = new URL(url);
  return forbidden.has(host) ? host : "";
}

// How large fragments are. A lost one is lost as a whole, so a poor network gets smaller ones.
export class Pace {
  #steps = FIRST_STEPS;

  get bytes() {
    return this.#steps * STEP_BYTES;
  }

  // `size` bytes took `milliseconds`.
  note(size, milliseconds) {
    if (size >= this.bytes && milliseconds < FAST_MS) {
      this.#steps = Math.min(MOST_STEPS, this.#steps * 2);
    } else if (milliseconds > SLOW_MS) {
      this.slow();
    }
  }

  slow() {
    this.#steps = Math.max(LEAST_STEPS, this.#steps >> 1);
  }
}

// Sends what comes next of a file from byte `begin` on. Answers { status, end, body, retryAfter }
// with status 0 where the network failed; retryAfter in milliseconds. By XMLHttpRequest, since
// fetch cannot tell how much of a body has gone.
export function sendFragment(url, file, begin, { signal, pace, tell }) {
  const end = Math.min(begin + pace.bytes, file.size);
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let stall;
    const abort = () => request.abort();
    const finish = (outcome) => {
      clearTimeout(stall);
      signal.removeEventListener("abort", abort);
      if (signal.aborted) reject(signal.reason);
      else resolve({ end, ...outcome });
    };
    const fail = () => {
      if (!signal.aborted) pace.slow();
      finish({ status: 0, retryAfter: 0 });
    };
    const watch = (loaded) => {
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
      // Asking for a header that OneDrive does not show to scripts would be noted as an error.
      const isTold = /^retry-after:/im.test(request.getAllResponseHeaders());
      const retryAfter = isTold ? readPause(request.getResponseHeader("Retry-After")) : 0;
      finish({ status, body: request.response, retryAfter });
    });
    request.addEventListener("error", fail);
    request.addEventListener("abort", fail);
    signal.addEventListener("abort", abort);
    watch(0);
    request.send(file.slice(begin, end));
  });
}

// Milliseconds of a Retry-After header, which is in seconds or not there.
function readPause(header) {
  const seconds = Number.parseFloat(header ?? "");
  return Number.isFinite(seconds) ? seconds * 1000 : 0;
}

// Where OneDrive goes on. Answers { state }: "known" with its `start`; "gone"; "refused" where it
// takes nothing more though it may still be open; "unreached" where there was no answer; "again"
// (with `retryAfter`) where the answer did not tell; "unplaced" where all bytes are there and the
// file was not put into its place.
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
    return { state: "again", retryAfter: readPause(answer.headers.get("Retry-After")) };
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

// So that the name is free at once; OneDrive forgets an open session by itself later.
export async function dropSession(url) {
  const options = { method: "DELETE", keepalive: true, referrerPolicy: "no-referrer" };
  await fetch(url, { ...options, signal: AbortSignal.timeout(DROP_MS) }).catch(() => {});
}
