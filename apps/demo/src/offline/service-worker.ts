declare const self: ServiceWorkerGlobalScope;
/** All files of the site but the model's weights, and a hash of them; written in when the site is built. */
declare const __FILES__: readonly string[];
declare const __VERSION__: string;

const prefix = 'star-webgpu-site-';
const name = prefix + __VERSION__;

self.addEventListener('install', (event) => event.waitUntil(keepSite()));
self.addEventListener('activate', (event) => event.waitUntil(forgetOthers()));
self.addEventListener('fetch', (event) => {
  const { method, mode, url } = event.request;
  if (method !== 'GET' || new URL(url).origin !== location.origin) return;
  event.respondWith(mode === 'navigate' ? freshPage(event.request) : keptFile(event.request));
});

async function keepSite(): Promise<void> {
  const cache = await caches.open(name);
  await cache.addAll(__FILES__.map((file) => new Request(addressOf(file), { cache: 'no-cache' })));
}

async function forgetOthers(): Promise<void> {
  const old = (await caches.keys()).filter((key) => key.startsWith(prefix) && key !== name);
  await Promise.all(old.map((key) => caches.delete(key)));
  await self.clients.claim();
}

/** Pages come from the network while there is one, so that a new build is seen at once. */
async function freshPage(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (offline) {
    const kept = await keptPage(new URL(request.url).pathname);
    if (kept) return kept;
    throw offline;
  }
}

/** A page by the addresses that web servers take for it. */
async function keptPage(path: string): Promise<Response | undefined> {
  for (const tail of path.endsWith('/') ? ['index.html'] : ['', '.html', '/index.html']) {
    const kept = await caches.match(path + tail, { cacheName: name });
    if (kept) return kept;
  }
  return caches.match(addressOf('404.html'), { cacheName: name });
}

/** Other files carry a hash of their content in their names. */
const keptFile = async (request: Request): Promise<Response> =>
  (await caches.match(request, { cacheName: name })) ?? fetch(request);

const addressOf = (file: string): string => new URL(file, self.registration.scope).href;

export {};
