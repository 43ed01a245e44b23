// Keeps the static files of this version and the offline page; pages and pictures are never kept.
const KEPT = {{ ("imagehub " ~ assets_url)|tojson }};
const OFFLINE = {{ offline_url|tojson }};
const ASSETS = {{ assets_url|tojson }};

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches.open(KEPT)
      .then((cache) => cache.addAll([OFFLINE, ...{{ files|tojson }}]))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  const clear = async () => {
    const names = await caches.keys();
    const old = names.filter((name) => name.startsWith("imagehub ") && name !== KEPT);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(clear());
});

self.addEventListener("fetch", (event) => {
  const request = event.request;
  if (request.method !== "GET") return;
  const url = new URL(request.url);
  // Downloads are the browser's own business.
  if (/\/media\/|\.zip$/.test(url.pathname)) return;
  if (request.mode === "navigate") {
    event.respondWith(fetch(request).catch(() => caches.match(OFFLINE)));
  } else if (url.origin === location.origin && url.pathname.startsWith(ASSETS)) {
    event.respondWith(fromCache(request));
  }
});

async function fromCache(request) {
  const cache = await caches.open(KEPT);
  const kept = await cache.match(request, { ignoreVary: true });
  if (kept) return kept;
  const fresh = await fetch(request);
  // A browser that has no room left shows the page all the same.
  if (fresh.ok) await cache.put(request, fresh.clone()).catch(() => {});
  return fresh;
}
