import { loadPipeline } from '@star-webgpu/sampler';
import type { Example } from './example.ts';

/** Draws a picture and shows every scale. */
export const run: Example = async ({ print, show, read }) => {
  const pipeline = await loadPipeline(read);
  for await (const { map, decode } of pipeline.generate(['rainbow'], { seed: 5 })) {
    print(`${map.width} x ${map.height} tokens`);
    show(await decode());
  }
  pipeline.dispose();
};
