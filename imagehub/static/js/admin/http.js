// Calls to the server.

const token = () => document.querySelector('meta[name="csrf-token"]').content;

export class CallError extends Error {
  // `retryAfter`: milliseconds that the server asked to wait; 0 where it did not. `isLost`: OneDrive
  // must be connected again.
  constructor(status, message, detail, { retryAfter = 0, isLost = false } = {}) {
    super(message);
    this.status = status;
    this.detail = detail;
    this.retryAfter = retryAfter;
    this.isLost = isLost;
  }
}

// Answers the JSON of a call. `json` becomes a JSON body, `form` (FormData or a plain object) a
// form; either makes it a POST unless `method` says otherwise. `keepalive`: it arrives though the
// page is left, where its body is below 64 KiB. Throws a CallError whose message
// is a sentence for a person; `status` is 0 where the server was not reached.
export async function fetchJson(url, options = {}) {
  try {
    return await call(url, options);
  } catch (error) {
    // Somebody signed in again in another tab, and the page's token went with the old sign-in.
    if (error.status !== 400 || !(await renewToken())) throw error;
    if (options.form?.csrf_token) options.form.csrf_token = token();
    if (options.form instanceof FormData && options.form.has("csrf_token")) {
      options.form.set("csrf_token", token());
    }
    return call(url, options);
  }
}

// Whether the hub gave the page another token; its forms get it too.
async function renewToken() {
  let fresh;
  try {
    // Read as text: a document would try to apply what its own page's policy allows.
    const page = await (await fetch(location.href)).text();
    fresh = /<meta name="csrf-token" content="([^"]+)"/.exec(page);
  } catch {
    return false;
  }
  if (!fresh) return false;
  document.querySelector('meta[name="csrf-token"]').content = fresh[1];
  for (const field of document.querySelectorAll("input[name=csrf_token]")) field.value = token();
  return true;
}

async function call(url, { method, json, form, signal, keepalive, headers = {} }) {
  const options = { method, signal, keepalive, headers: { Accept: "application/json", ...headers } };
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    options.headers["Content-Type"] = "application/json";
  } else if (form !== undefined) {
    options.body = form instanceof FormData ? form : new URLSearchParams(form);
  }
  options.method ??= options.body === undefined ? "GET" : "POST";
  if (options.method !== "GET") options.headers["X-CSRFToken"] = token();
  let answer;
  try {
    answer = await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new CallError(0, "The hub cannot be reached just now. Please check your network.");
  }
  if (answer.redirected && new URL(answer.url).pathname.startsWith("/sign-in")) {
    throw new CallError(401, "You have been signed out. Please sign in again.");
  }
  let body = null;
  try {
    body = await answer.json();
  } catch {
    if (answer.ok && answer.status !== 204) {
      throw new CallError(answer.status, "The hub gave an answer that makes no sense.");
    }
  }
  if (!answer.ok) {
    const { detail } = body ?? {};
    const message = Array.isArray(detail) ? detail.map((one) => one.msg).join(" ") : detail;
    const seconds = Number.parseFloat(answer.headers.get("Retry-After") ?? "0");
    const retryAfter = Number.isFinite(seconds) ? seconds * 1000 : 0;
    const isLost = answer.headers.get("X-OneDrive") === "lost";
    throw new CallError(answer.status, message || "That did not work.", body, { retryAfter, isLost });
  }
  return body;
}
