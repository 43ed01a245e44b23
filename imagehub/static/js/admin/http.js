// Calls to the server, and the pauses between them.

import { find, findAll } from "../dom.js";
import { t } from "../words.js";

/** `json` or `form` becomes the body; the method is POST then, else GET. `keepalive`: it arrives
 * even if the page is left; at most 64 KiB.
 * @typedef {{ method?: string, json?: unknown, signal?: AbortSignal, keepalive?: boolean,
 *   form?: FormData | URLSearchParams | Record<string, string> }} CallOptions */

/** A call that failed; the message is a sentence for a person. */
export class CallError extends Error {
  /** @param {number} status 0 where the server was not reached
   * @param {string} message @param {any} [detail] the JSON of the answer
   * @param {Headers} [headers] */
  constructor(status, message, detail, headers) {
    super(message);
    this.status = status;
    this.detail = detail;
    this.retryAfter = readRetryAfter(headers?.get("Retry-After"));
    /** Whether OneDrive must be reconnected. */
    this.isLost = headers?.get("X-OneDrive") === "lost";
  }
}

const findToken = () => find(document, 'meta[name="csrf-token"]', HTMLMetaElement);

/** Return the JSON of a call. Throws a CallError, or what an abort throws.
 * @param {string} url @param {CallOptions} [options] @returns {Promise<any>} */
export async function fetchJson(url, options = {}) {
  try {
    return await call(url, options);
  } catch (error) {
    // After a new sign-in in another tab the page's token is no longer valid.
    if (!(error instanceof CallError) || error.status !== 400) throw error;
    const token = await renewToken();
    if (!token) throw error;
    const { form } = options;
    if (form instanceof FormData || form instanceof URLSearchParams) {
      if (form.has("csrf_token")) form.set("csrf_token", token);
    } else if (form?.csrf_token) {
      form.csrf_token = token;
    }
    return call(url, options);
  }
}

/** Fetch a new token for the page and its forms; "" where there is none. */
async function renewToken() {
  const meta = findToken();
  // Read as text: parsing a document would report styles that its own policy allows.
  const page = await fetch(location.href).then(
    (answer) => answer.text(),
    () => "",
  );
  const token = /<meta name="csrf-token" content="([^"]+)"/.exec(page)?.[1];
  if (!token || !meta) return "";
  meta.content = token;
  for (const field of findAll(document, "input[name=csrf_token]", HTMLInputElement)) {
    field.value = token;
  }
  return token;
}

/** @param {string} url @param {CallOptions} options */
async function call(url, { json, form, signal, keepalive, ...options }) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  let body;
  if (json !== undefined) {
    body = JSON.stringify(json);
    headers["Content-Type"] = "application/json";
  } else if (form !== undefined) {
    body = form instanceof FormData ? form : new URLSearchParams(form);
  }
  const method = options.method ?? (body === undefined ? "GET" : "POST");
  if (method !== "GET") headers["X-CSRFToken"] = findToken()?.content ?? "";
  const answer = await fetch(url, { method, headers, body, signal, keepalive }).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new CallError(0, t("unreachable"));
  });
  if (answer.redirected && new URL(answer.url).pathname.endsWith("/sign-in")) {
    throw new CallError(401, t("signed_out"));
  }
  const content = await answer.json().catch(() => undefined);
  if (!answer.ok) {
    const detail = content?.detail;
    const message = Array.isArray(detail) ? detail.map(({ msg }) => msg).join(" ") : detail;
    throw new CallError(answer.status, message || t("failed"), content, answer.headers);
  }
  if (content === undefined && answer.status !== 204) {
    throw new CallError(answer.status, t("bad_answer"));
  }
  return content ?? null;
}

/** Return the milliseconds of a Retry-After header; 0 without seconds. @param {?string} [header] */
export function readRetryAfter(header) {
  const seconds = Number.parseFloat(header ?? "");
  return Number.isFinite(seconds) ? seconds * 1000 : 0;
}

/** Return the sentence of whatever was thrown. @param {unknown} error */
export const getMessage = (error) => (error instanceof Error ? error.message : String(error));

/** Wait for a while. @param {number} milliseconds @returns {Promise<void>} */
export const sleep = (milliseconds) =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
