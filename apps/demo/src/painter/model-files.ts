import sampling from '@star-webgpu/model-emoji/model/sampling.json?url';
import starConfig from '@star-webgpu/model-emoji/model/star/config.json?url';
import starWeights from '@star-webgpu/model-emoji/model/star/model.safetensors?url';
import textConfig from '@star-webgpu/model-emoji/model/text/config.json?url';
import textWeights from '@star-webgpu/model-emoji/model/text/model.safetensors?url';
import tokenizer from '@star-webgpu/model-emoji/model/text/tokenizer.json?url';
import vqvaeConfig from '@star-webgpu/model-emoji/model/vqvae/config.json?url';
import vqvaeWeights from '@star-webgpu/model-emoji/model/vqvae/model.safetensors?url';
import type { ReadFile } from '@star-webgpu/tensor-webgpu';
import type { Loading } from './painter.ts';

/** Where the bundler put each file of the model. */
const addresses: ReadonlyMap<string, string> = new Map([
  ['sampling.json', sampling],
  ['star/config.json', starConfig],
  ['star/model.safetensors', starWeights],
  ['text/config.json', textConfig],
  ['text/model.safetensors', textWeights],
  ['text/tokenizer.json', tokenizer],
  ['vqvae/config.json', vqvaeConfig],
  ['vqvae/model.safetensors', vqvaeWeights],
]);

const cacheName = 'star-webgpu-models';

/** Fetches all files of the site's model at once, those that were kept from the browser's store. @throws Error naming the file that cannot be had */
export async function siteModel(onLoading: (loading: Loading) => void): Promise<ReadFile> {
  const tally = new Tally(onLoading, addresses.size);
  const fetched = [...addresses].map(async ([path, address]) => [path, await fetchFile(path, address, tally)] as const);
  const files = new Map(await Promise.all(fetched));
  await forgetOthers();
  return async (path) => {
    const bytes = files.get(path);
    if (!bytes) throw new Error(`the file must be among the model's, got ${[...files.keys()].join(', ')}.`);
    return bytes;
  };
}

/** Lets the kept files go, so that the next visit fetches them anew. */
export async function forgetModel(): Promise<void> {
  if (globalThis.caches) await caches.delete(cacheName);
}

/** Lets files of earlier models go. */
async function forgetOthers(): Promise<void> {
  if (!globalThis.caches) return;
  const cache = await caches.open(cacheName);
  const own = new Set([...addresses.values()].map((address) => new URL(address, location.href).href));
  const others = (await cache.keys()).filter(({ url }) => !own.has(url));
  await Promise.all(others.map((request) => cache.delete(request)));
}

async function fetchFile(path: string, address: string, tally: Tally): Promise<Uint8Array> {
  const response = await cachedResponse(address);
  if (!response.ok || !response.body)
    throw new Error(`siteModel: ${path} must be served, got status ${response.status}. Reload the page.`);
  tally.expect(Number(response.headers.get('content-length') ?? 0));
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    tally.add(value.length);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/** Addresses carry a hash of their content, so a kept response is never stale. */
async function cachedResponse(address: string): Promise<Response> {
  if (!globalThis.caches) return fetch(address);
  const cache = await caches.open(cacheName);
  const kept = await cache.match(address);
  if (kept) return kept;
  const response = await fetch(address);
  if (response.ok) await cache.put(address, response.clone());
  return response;
}

/** Adds up the bytes of several downloads. */
class Tally {
  private loaded = 0;
  private total = 0;
  private started = 0;
  private readonly report: (loading: Loading) => void;
  private readonly files: number;

  constructor(report: (loading: Loading) => void, files: number) {
    this.report = report;
    this.files = files;
  }

  expect(bytes: number): void {
    this.total += bytes;
    this.started += 1;
  }

  add(bytes: number): void {
    this.loaded += bytes;
    if (this.started === this.files) this.report({ loaded: this.loaded, total: Math.max(this.total, this.loaded) });
  }
}
