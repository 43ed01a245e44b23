// Calls to the server.

import { find, findAll } from "../dom.js";
import { t } from "../words.js";

/**
 * @typedef {object} CallOptions
 * @property {string} [method] GET, or POST where there is a body
 * @property {unknown} [json] becomes a JSON body
 * @property {FormData | URLSearchParams | Record<string, string>} [form] becomes a form body
 * @property {AbortSignal} [signal]
 * @property {boolean} [keepalive] it arrives even if the page is left; at most 64 KiB
 */

/** A call that failed; the message is a sentence for a person. */
export class CallError extends Error {
  /**
   * @param {number} status 0 where the server was not reached
   * @param {string} message
   * @param {any} [detail] the JSON of the answer
   * @param {{ retryAfter?: number, isLost?: boolean }} [hints] `retryAfter`: milliseconds that the
   *   server asked to wait; `isLost`: OneDrive must be reconnected
   */
  constructor(status, message, detail, { retryAfter = 0, isLost = false } = {}) {
    super(message);
    this.status = status;
    this.detail = detail;
    this.retryAfter = retryAfter;
    this.isLost = isLost;
  }
}

const findToken = () => find(document, 'meta[name="csrf-token"]', HTMLMetaElement);

/**
 * Return the JSON of a call. Throws a CallError, or what an abort throws.
 * @param {string} url
 * @param {CallOptions} [options]
 * @returns {Promise<any>}
 */
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

/**
 * @param {string} url
 * @param {CallOptions} options
 */
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
  if (answer.redirected && new URL(answer.url).pathname.startsWith("/sign-in")) {
    throw new CallError(401, t("signed_out"));
  }
  const content = await answer.json().catch(() => undefined);
  if (!answer.ok) throw makeError(answer, content);
  if (content === undefined && answer.status !== 204) {
    throw new CallError(answer.status, t("bad_answer"));
  }
  return content ?? null;
}

/**
 * @param {Response} answer
 * @param {any} content
 */
function makeError({ status, headers }, content) {
  const detail = content?.detail;
  const message = Array.isArray(detail) ? detail.map(({ msg }) => msg).join(" ") : detail;
  return new CallError(status, message || t("failed"), content, {
    retryAfter: readRetryAfter(headers.get("Retry-After")),
    isLost: headers.get("X-OneDrive") === "lost",
  });
}

/**
 * Return the milliseconds of a Retry-After header; 0 where it names no seconds.
 * @param {?string} header
 */
export function readRetryAfter(header) {
  const seconds = Number.parseFloat(header ?? "");
  return Number.isFinite(seconds) ? seconds * 1000 : 0;
}

/**
 * Return the sentence of whatever was thrown.
 * @param {unknown} error
 */
export const getMessage = (error) => (error instanceof Error ? error.message : String(error));
