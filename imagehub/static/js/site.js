// On every page: pictures that come late, the colour switch, the search field, the service worker.

import "./pictures.js";

const root = document.documentElement;
const toggle = document.querySelector("[data-theme-switch]");
const FOLLOWING = { auto: "dark", dark: "light", light: "auto" };

function readTheme() {
  const theme = /(?:^|; )theme=(light|dark)/.exec(document.cookie)?.[1] ?? "auto";
  root.dataset.theme = theme;
  if (!toggle) return;
  const names = JSON.parse(toggle.dataset.names);
  toggle.querySelector("[data-theme-name]").textContent = names[theme];
  toggle.title = names[theme];
}

toggle?.setAttribute("role", "button");
toggle?.addEventListener("click", (event) => {
  event.preventDefault();
  const theme = FOLLOWING[root.dataset.theme] ?? "dark";
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `theme=${theme}; path=/; max-age=31536000; samesite=lax${secure}`;
  readTheme();
});
toggle?.addEventListener("keydown", (event) => {
  if (event.key !== " ") return;
  event.preventDefault();
  toggle.click();
});

readTheme();
// A page that comes back from the browser's memory may be older than the choice.
addEventListener("pageshow", (event) => event.persisted && readTheme());

const field = document.querySelector(".search input[data-suggest]");
let suggesting = null;

function suggest() {
  suggesting ??= import("./search.js")
    .then(({ suggestFor }) => suggestFor(field, field.dataset.suggest, field.dataset.icons))
    .catch(() => {
      // Without suggestions the field searches all the same; the next time may bring them.
      suggesting = null;
    });
}

field?.addEventListener("focus", suggest);
// Somebody may be there before this module is.
if (field && document.activeElement === field) suggest();

// Installing fetches files: that waits until the pictures have come and nothing else is to be done.
if ("serviceWorker" in navigator) {
  const whenIdle = window.requestIdleCallback ?? ((work) => setTimeout(work, 2000));
  addEventListener("load", () => {
    const base = document.querySelector('link[rel="manifest"]').href;
    whenIdle(() => {
      navigator.serviceWorker.register(new URL("service-worker.js", base)).catch(() => {});
    });
  });
}
