import { type Batch, loadEvaluation } from '@star-webgpu/data-lmdb';
import { measureReconstruction, type Picture } from '@star-webgpu/metrics';
import { pictureAt, type Pictures, toPictures } from '@star-webgpu/sampler';
import { noGrad, scope, tensor } from '@star-webgpu/tensor-webgpu';
import type { Vqvae } from '@star-webgpu/vqvae';
import { pictureGrid } from '../pictures.ts';
import type { Measure } from './evaluation.ts';
import { picturesOf } from './loaded-pictures.ts';
import type { Preview } from './preview.ts';

/** Pictures of a batch, and what a VQVAE makes of them. */
async function reconstructed(vqvae: Vqvae, batch: Batch): Promise<{ own: Pictures; made: Pictures }> {
  const images_BHW3 = scope(() => noGrad(() => vqvae.reconstruct(tensor(batch.images, batch.shape))));
  try {
    return { own: await picturesOf(batch), made: await toPictures(images_BHW3) };
  } finally {
    images_BHW3.dispose();
  }
}

/** PSNR in dB and SSIM of held-out pictures through the codebook and back. */
export const reconstructionOf =
  (vqvae: Vqvae): Measure =>
  async (heldOut) => {
    async function* pairs(): AsyncGenerator<readonly [got: Picture, want: Picture]> {
      for await (const batch of heldOut()) {
        const { own, made } = await reconstructed(vqvae, batch);
        for (let b = 0; b < own.count; b++) yield [pictureAt(made, b), pictureAt(own, b)];
      }
    }
    const { psnr, ssim } = await measureReconstruction(pairs());
    return { psnr, ssim };
  };

/** Some pictures, and below them what a VQVAE makes of them. */
export const reconstructionPreview = (
  vqvae: Vqvae,
  { every, pictures }: { readonly every: number; readonly pictures: number },
  selection: Parameters<typeof loadEvaluation>[0],
): Preview => ({
  every,
  draw: async () => {
    const [own, made]: [Pictures[], Pictures[]] = [[], []];
    for await (const batch of loadEvaluation({ ...selection, take: pictures })) {
      const both = await reconstructed(vqvae, batch);
      own.push(both.own);
      made.push(both.made);
    }
    return pictureGrid([...own, ...made], { columns: own.reduce((sum, { count }) => sum + count, 0) });
  },
});
