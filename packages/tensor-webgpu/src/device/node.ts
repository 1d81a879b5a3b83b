/** Opens Dawn on the best adapter of this machine. */
export interface OpenedGpu {
  readonly gpu: GPU;
  readonly adapter: GPUAdapter;
  readonly kind: 'hardware' | 'lavapipe' | 'swiftshader' | 'null';
  readonly description: string;
  close(): void;
}

export async function openGpu(): Promise<OpenedGpu> {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  const gpu = create([
    'enable-dawn-features=allow_unsafe_apis,disable_robustness,vulkan_enable_f16_on_nvidia',
    'disable-dawn-features=timestamp_quantization',
  ]);
  const pinned = globalThis as typeof globalThis & { starWebgpu?: GPU[] };
  pinned.starWebgpu = [...(pinned.starWebgpu ?? []), gpu];
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error('no adapter');
  return { gpu, adapter, kind: 'lavapipe', description: adapter.info.description, close: () => {} };
}

/** Waits without spinning a core. */
export async function throttledWait<T>(pending: Promise<T>): Promise<T> {
  let settled = false;
  const done = (): void => void (settled = true);
  pending.then(done, done);
  const cell = new Int32Array(new SharedArrayBuffer(4));
  while (!settled) {
    Atomics.wait(cell, 0, 0, 1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return pending;
}
