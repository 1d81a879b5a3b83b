// Draws the pictures of the home page with the model in the box: a row a prompt, a column a scale.
// Run it again when the model changes: node --conditions=@star-webgpu/source --import tsx build/draw-home.main.ts
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { modelUrl } from '@star-webgpu/model-emoji';
import { loadPipeline, type Pipeline } from '@star-webgpu/sampler';
import { createDevice, setDevice } from '@star-webgpu/tensor-webgpu';
import { openGpu, throttledWait } from '@star-webgpu/tensor-webgpu/node';
import sharp, { type OverlayOptions } from 'sharp';
import { homePrompts, homeSeed } from '../src/home/pictures.ts';

const { adapter, close } = await openGpu();
const device = await createDevice(adapter, { wait: throttledWait, onDestroy: close });
setDevice(device);
const pipeline = await loadPipeline((path) => readFile(fileURLToPath(new URL(path, modelUrl))));
const tiles: OverlayOptions[] = [];
for (const [row, prompt] of homePrompts.entries()) tiles.push(...(await rowOf(pipeline, prompt, row)));
const right = Math.max(...tiles.map(({ left }) => left!));
const side = tiles[0]!.raw!.width;
await sharp({ create: { width: right + side, height: homePrompts.length * side, channels: 3, background: '#fff' } })
  .composite(tiles)
  .webp({ quality: 88 })
  .toFile(fileURLToPath(new URL('../src/home/pictures.webp', import.meta.url)));
pipeline.dispose();
device.destroy();

async function rowOf(from: Pipeline, prompt: string, row: number): Promise<OverlayOptions[]> {
  const drawn: OverlayOptions[] = [];
  for await (const { scale, decode } of from.generate([prompt], { seed: homeSeed })) {
    const { data, width, height } = await decode();
    const raw = { width, height, channels: 3 } as const;
    drawn.push({ input: Buffer.from(data), raw, left: scale * width, top: row * height });
  }
  return drawn;
}
