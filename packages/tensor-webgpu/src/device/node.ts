/**
 * Adapters of Node: the system's, or the embedded SwiftShader; files; tuning that is kept on disk.
 * @module
 */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { embeddedDriver } from './swiftshader/node.ts';

export { fileSource, folderFiles } from '../io/node.ts';
export { readTuningFile, tuningFile, writeTuningFile } from '../tuning/node.ts';

/** Kinds of adapters, best first; `null` compiles shaders without computing. */
export type AdapterKind = 'hardware' | 'lavapipe' | 'swiftshader' | 'null';

/** A GPU entry point with the adapter that was chosen. */
export interface OpenedGpu {
  readonly gpu: GPU;
  readonly adapter: GPUAdapter;
  readonly kind: AdapterKind;
  readonly description: string;
  /** Lets go of Dawn, so that the process can exit by itself. */
  close(): void;
}

/** What `openGpu` opens. */
export interface OpenGpuOptions {
  /** `auto`, a kind, or a part of an adapter's name; the environment's STAR_ADAPTER by default. */
  readonly adapter?: string;
  /** Dawn's null backend: compiles WGSL and reports its errors, computes nothing. */
  readonly backend?: 'null';
}

/** No adapter of the wanted kind works here; the message says what was tried and what to do. */
export class AdapterError extends Error {
  constructor(wanted: string, tried: readonly string[]) {
    super(
      `openGpu: adapter "${wanted}" must exist, got ${tried.join('; ')}. ` +
        'Set STAR_ADAPTER to hardware, lavapipe, swiftshader or part of a name; install a Vulkan driver, a Mesa of at least 24, or the npm packages koffi, tar-fs and @sparticuz/chromium for the embedded adapter.',
    );
    this.name = 'AdapterError';
  }
}

const toggles = {
  enabled: ['allow_unsafe_apis', 'disable_robustness', 'vulkan_enable_f16_on_nvidia'],
  disabled: ['timestamp_quantization'],
};

/** Dawn dies at random once its entry point is collected, so it hangs on something global until it is closed. */
const pinned: Set<GPU> = ((globalThis as { starWebgpuPinned?: Set<GPU> }).starWebgpuPinned ??= new Set());

/**
 * Opens Dawn on the best adapter: hardware, then an installed lavapipe, then the SwiftShader embedded in an npm package.
 * @throws AdapterError if none of the wanted kind works.
 */
export async function openGpu({
  adapter = process.env['STAR_ADAPTER'] || 'auto',
  backend,
}: OpenGpuOptions = {}): Promise<OpenedGpu> {
  process.env['XDG_RUNTIME_DIR'] ??= tmpdir();
  if (backend === 'null') return open('null', ['backend=null']);
  const tried: string[] = [];
  for (const attempt of adapter === 'swiftshader' ? [tryEmbedded] : [tryOpen, tryEmbedded]) {
    const found = await attempt(tried, adapter);
    if (found && suits(found, adapter)) return found;
    found?.close();
    if (found) tried.push(`${found.kind} (${found.description})`);
  }
  throw new AdapterError(adapter, tried);
}

/** An error on one line: Dawn lists adapters on lines of their own. */
const textOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ').trim();

const suits = ({ kind, description, adapter }: OpenedGpu, wanted: string): boolean =>
  wanted === 'auto' ||
  wanted === kind ||
  `${description} ${adapter.info.device}`.toLowerCase().includes(wanted.toLowerCase());

/** Dawn's option that picks an adapter by a part of its name, where one is named: a machine may have several. */
const pick = (wanted: string): string[] =>
  wanted === 'auto' || wanted === 'hardware' ? [] : [`adapter=${wanted === 'lavapipe' ? 'llvmpipe' : wanted}`];

async function tryOpen(tried: string[], wanted: string): Promise<OpenedGpu | undefined> {
  try {
    return await open('hardware', pick(wanted));
  } catch (error) {
    tried.push(`Vulkan of this machine: ${textOf(error)}`);
    return undefined;
  }
}

/** The embedded adapter serves every Vulkan loader that the process finds from here on. */
async function tryEmbedded(tried: string[]): Promise<OpenedGpu | undefined> {
  try {
    const folder = await embeddedDriver();
    process.env['VK_DRIVER_FILES'] = join(folder, 'vk_swiftshader_icd.json');
    const { default: koffi } = await import('koffi');
    koffi.load(join(folder, 'libvulkan.so.1'), { global: true });
    return await open('swiftshader', []);
  } catch (error) {
    tried.push(`embedded SwiftShader: ${textOf(error)}`);
    return undefined;
  }
}

async function open(kind: AdapterKind, extra: readonly string[]): Promise<OpenedGpu> {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  const gpu = create([
    `enable-dawn-features=${toggles.enabled}`,
    `disable-dawn-features=${toggles.disabled}`,
    ...extra,
  ]);
  pinned.add(gpu);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) {
    pinned.delete(gpu);
    throw new Error('no adapter was found');
  }
  const { description, device } = adapter.info;
  return {
    gpu,
    adapter,
    kind: kind === 'null' ? kind : kindOf(`${description} ${device}`),
    description: description || device,
    close: () => void pinned.delete(gpu),
  };
}

function kindOf(name: string): AdapterKind {
  if (/swiftshader|subzero/i.test(name)) return 'swiftshader';
  return /llvmpipe|lavapipe/i.test(name) ? 'lavapipe' : 'hardware';
}

/** Milliseconds of sleep between two looks: short enough for a GPU step, long enough to leave a core to a software adapter. */
const pause = 1;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Waits for GPU work. Dawn looks for results on every turn of the event loop and would burn a core; sleeping between turns leaves it to others. */
export async function throttledWait<T>(pending: Promise<T>): Promise<T> {
  let settled = false;
  const done = (): void => void (settled = true);
  pending.then(done, done);
  while (!settled) {
    Atomics.wait(sleeper, 0, 0, pause);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return pending;
}
