// Answers the page's own requests: from the network, and where there is none from the cache that
// the page has filled. Every answer gets the headers that WebAssembly's threads need, for hosts
// that cannot send them.

const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const own = new URL(request.url).origin === self.location.origin;
  if (own && request.method === "GET") event.respondWith(answer(request));
});

async function answer(request) {
  const found = (await fetch(request).catch(() => null)) ?? (await caches.match(request, { ignoreSearch: true }));
  if (!found) return Response.error();
  const headers = new Headers(found.headers);
  for (const [name, value] of Object.entries(ISOLATION)) headers.set(name, value);
  return new Response(found.body, { status: found.status, statusText: found.statusText, headers });
}
