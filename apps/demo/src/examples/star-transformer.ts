import { loadStar } from '@star-webgpu/star-transformer';
import { insideOf, noGrad, softmax } from '@star-webgpu/tensor-webgpu';
import { loadTextEncoder } from '@star-webgpu/text-encoder';
import type { Example } from './example.ts';

/** Asks the transformer for the first token of two pictures: one number says much about a picture. */
export const run: Example = async ({ print, read }) => {
  const [star, text] = await Promise.all([loadStar(insideOf(read, 'star')), loadTextEncoder(insideOf(read, 'text'))]);
  const { codebookSize, patchNumbers } = star.config;
  const prompts = ['tomato', 'panda'];
  const { logits_BlV } = noGrad(() => star.step(star.startCache(text.encode(prompts)), 0));
  print(`logits [${logits_BlV.shape}] of the first of ${patchNumbers.length} scales`);
  const shares = await softmax(logits_BlV).data();
  prompts.forEach((prompt, b) => {
    const row = [...shares.subarray(b * codebookSize, (b + 1) * codebookSize)].map((share, code) => ({ share, code }));
    const best = row.toSorted((one, other) => other.share - one.share).slice(0, 4);
    print(`${prompt}: ${best.map(({ code, share }) => `code ${code} ${(100 * share).toFixed(1)}%`).join(', ')}`);
  });
  for (const model of [star, text]) model.dispose();
};
