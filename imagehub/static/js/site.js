// On every page of the gallery: late pictures, the theme, the search field, the service worker.

import { showTheme, writeCookie } from "./cookies.js";
import { find, get } from "./dom.js";
import "./pictures.js";
import "./transitions.js";

const root = document.documentElement;

const NEXT_THEME = { auto: "dark", dark: "light", light: "auto" };
const toggle = find(document, "[data-theme-switch]");

function readTheme() {
  const theme = showTheme();
  if (!toggle) return;
  const names = JSON.parse(toggle.dataset.names ?? "{}");
  get(toggle, "[data-theme-name]").textContent = names[theme];
  toggle.title = names[theme];
}

toggle?.setAttribute("role", "button");
toggle?.addEventListener("click", (event) => {
  event.preventDefault();
  const current = /** @type {keyof typeof NEXT_THEME} */ (root.dataset.theme);
  writeCookie("theme", NEXT_THEME[current]);
  readTheme();
});
toggle?.addEventListener("keydown", (event) => {
  if (event.key !== " ") return;
  event.preventDefault();
  toggle.click();
});

readTheme();
// A page from the browser's memory may be older than the choice.
addEventListener("pageshow", (event) => event.persisted && readTheme());

const field = find(document, ".search input[data-suggest]", HTMLInputElement);
let suggestions = /** @type {?Promise<unknown>} */ (null);

function suggest(/** @type {HTMLInputElement} */ input) {
  // The field searches without suggestions too; the next focus tries again to load them.
  suggestions ??= import("./search.js")
    .then(({ suggestFor }) => suggestFor(input, input.dataset.suggest ?? ""))
    .catch(() => (suggestions = null));
}

if (field) {
  field.addEventListener("focus", () => suggest(field));
  // The field may have the focus before this module runs.
  if (document.activeElement === field) suggest(field);
}

// It fetches files when it is installed, so that waits until the page is loaded and idle.
if ("serviceWorker" in navigator) {
  /** @type {(act: () => void) => unknown} */
  const whenIdle = window.requestIdleCallback ?? ((act) => setTimeout(act, 2000));
  addEventListener("load", () => {
    const base = get(document, 'link[rel="manifest"]', HTMLLinkElement).href;
    whenIdle(() => {
      navigator.serviceWorker.register(new URL("service-worker.js", base)).catch(() => {});
    });
  });
}
