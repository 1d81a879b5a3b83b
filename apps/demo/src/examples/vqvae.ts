import { fromPictures, toPictures } from '@star-webgpu/sampler';
import { insideOf, noGrad, permute } from '@star-webgpu/tensor-webgpu';
import { loadVqvae, tokenOffsets } from '@star-webgpu/vqvae';
import type { Example } from './example.ts';

/** Paints a ball, turns it into tokens of seven scales, and back into a picture. */
export const run: Example = async ({ print, show, read }) => {
  const vqvae = await loadVqvae(insideOf(read, 'vqvae'));
  const ball = paintBall(64);
  show(ball);
  const images = fromPictures({ count: 1, ...ball });
  const tokens = [...(await noGrad(() => vqvae.imageToTokens(images)).data())];
  const offsets = tokenOffsets(vqvae.config.patchNumbers);
  vqvae.config.patchNumbers.slice(0, 3).forEach((side, scale) => {
    print(`${side} x ${side}: tokens ${tokens.slice(offsets[scale], offsets[scale + 1]).join(' ')}`);
  });
  print(`... ${tokens.length} tokens in all, of ${vqvae.config.codebookSize} codes`);
  show(await toPictures(noGrad(() => permute(vqvae.reconstruct(images), [0, 2, 3, 1]))));
  vqvae.dispose();
};

/** An orange ball with a light on it, on white. */
function paintBall(side: number) {
  const data = new Uint8Array(side * side * 3).fill(255);
  for (let i = 0; i < side * side; i++) {
    const [x, y] = [(i % side) / side - 0.5, Math.floor(i / side) / side - 0.5];
    const light = Math.exp(-20 * ((x + 0.12) ** 2 + (y + 0.15) ** 2));
    if (Math.hypot(x, y) < 0.4) data.set([245, 110 + 130 * light, 30 + 190 * light], i * 3);
  }
  return { width: side, height: side, data };
}
