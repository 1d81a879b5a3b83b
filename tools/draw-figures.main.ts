// Draws the figures of docs/concepts by the code that they explain: tsx tools/draw-figures.main.ts
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { modelUrl } from '../packages/model-emoji/src/index.ts';
import { loadPipeline } from '../packages/sampler/src/index.ts';
import { createDevice, setDevice } from '../packages/tensor-webgpu/src/index.ts';
import { openGpu, throttledWait } from '../packages/tensor-webgpu/src/device/node.ts';
import { maskFigure } from './figures/mask.ts';
import { pyramidFigure } from './figures/pyramid.ts';
import { ropeFigure } from './figures/rope.ts';
import { stableFigure } from './figures/stable.ts';

const { adapter, close } = await openGpu();
const device = await createDevice(adapter, { wait: throttledWait, onDestroy: close });
setDevice(device);
const pipeline = await loadPipeline((path) => readFile(new URL(path, modelUrl)));
const { patchNumbers } = pipeline.star.config;
const figures = {
  pyramid: await pyramidFigure(pipeline, 'frog', 3),
  mask: await maskFigure(patchNumbers.slice(0, 4)),
  rope: ropeFigure(patchNumbers),
  stable: await stableFigure(8, 8),
};
const folder = new URL('../docs/public/concepts/', import.meta.url);
await mkdir(folder, { recursive: true });
for (const [name, svg] of Object.entries(figures)) await writeFile(new URL(`${name}.svg`, folder), svg);
pipeline.dispose();
device.destroy();
