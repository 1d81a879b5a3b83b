import { createDevice, setDevice } from '@star-webgpu/tensor-webgpu';
import type { Pixels } from '../painter/painter.ts';
import { withAlpha } from '../painter/draw.ts';
import { siteModel } from '../painter/model-files.ts';
import type { Example } from './example.ts';

/** Each is fetched when it is run. */
const examples = {
  'tensor-webgpu': () => import('./tensor-webgpu.ts'),
  vqvae: () => import('./vqvae.ts'),
  'text-encoder': () => import('./text-encoder.ts'),
  'star-transformer': () => import('./star-transformer.ts'),
  sampler: () => import('./sampler.ts'),
} satisfies Readonly<Record<string, () => Promise<{ readonly run: Example }>>>;

export type ExampleName = keyof typeof examples;

/** Where an example's lines and pictures go. */
interface Output {
  readonly print: (line: string) => void;
  readonly show: (pixels: Pixels) => void;
}

/** Runs an example on a device of its own. @throws Error that says what the browser lacks, or what went wrong */
export async function runExample(name: ExampleName, { print, show }: Output): Promise<void> {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error('This browser offers no WebGPU adapter here. Try a new Chrome, Edge or Safari.');
  const device = await createDevice(adapter);
  setDevice(device);
  try {
    const { run } = await examples[name]();
    const model = once(() => siteModel(() => undefined));
    await run({
      print,
      show: (picture) => show(withAlpha(picture)),
      read: async (path) => (await model())(path),
    });
  } finally {
    setDevice(undefined);
    device.destroy();
  }
}

/** The same promise at every call. */
function once<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let made: Promise<Value> | undefined;
  return () => (made ??= make());
}
