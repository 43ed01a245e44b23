import assert from "node:assert/strict";
import { test } from "node:test";

import "./browser.js";

const root = /** @type {any} */ (document.documentElement);

/** Load the script anew, as a page with these attributes does. */
async function load(dataset) {
  root.dataset = dataset;
  return import(`../../imagehub/static/js/cookies.js?${JSON.stringify(dataset)}`);
}

test("a cookie is set with the prefix and the path of the page", async () => {
  const { writeCookie } = await load({ cookiePrefix: "__Secure-", cookiePath: "/art" });
  globalThis.location = new URL("https://example.org/art/");
  writeCookie("theme", "dark");
  const parts = document.cookie.split("; ");
  assert.equal(parts[0], "__Secure-theme=dark");
  assert.ok(parts.includes("path=/art"));
  assert.ok(parts.includes("secure"));
});

test("a cookie is found by its whole name alone", async () => {
  const { readCookie, showTheme } = await load({ cookiePrefix: "__Host-", cookiePath: "/" });
  document.cookie = "theme=light; x__Host-theme=light; __Host-theme=dark; __Host-themes=light";
  assert.equal(readCookie("theme"), "dark");
  assert.equal(readCookie("drive-view"), "");
  assert.equal(showTheme(), "dark");
  document.cookie = "theme=light; __Host-theme=nonsense";
  assert.equal(showTheme(), "auto");
  assert.equal(root.dataset.theme, "auto");
});
