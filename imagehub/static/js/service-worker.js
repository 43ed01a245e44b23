// The service worker: keeps the static files of this version and the offline page. Pages and
// pictures are never cached. `version` comes from templates/gallery/service-worker.js.

const { caches: CACHES, assets: ASSETS, offline: OFFLINE, files: FILES } = self.version;
const CACHE = `imagehub ${ASSETS}`;

self.addEventListener("install", (event) => {
  const install = async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll([OFFLINE, ...FILES]);
    await self.skipWaiting();
  };
  event.waitUntil(install());
});

self.addEventListener("activate", (event) => {
  const clear = async () => {
    const names = await caches.keys();
    const old = names.filter((name) => name.startsWith(CACHES) && name !== CACHE);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(clear());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  const url = new URL(request.url);
  // Downloads go to the network without a detour.
  if (/\/media\/|\.zip$/.test(url.pathname)) return;
  if (request.mode === "navigate") {
    event.respondWith(fetch(request).catch(() => caches.match(OFFLINE)));
  } else if (url.origin === location.origin && url.pathname.startsWith(ASSETS)) {
    event.respondWith(fetchAsset(request));
  }
});

async function fetchAsset(request) {
  const cache = await caches.open(CACHE);
  const cached = await cache.match(request, { ignoreVary: true });
  if (cached) return cached;
  const fresh = await fetch(request);
  // The page works even if the browser has no room left for the copy.
  if (fresh.ok) await cache.put(request, fresh.clone()).catch(() => {});
  return fresh;
}
