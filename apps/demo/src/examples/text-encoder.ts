import { insideOf, l2Normalize, matmul, noGrad, transpose } from '@star-webgpu/tensor-webgpu';
import { loadTextEncoder } from '@star-webgpu/text-encoder';
import type { Example } from './example.ts';

/** Encodes prompts and compares their meanings. */
export const run: Example = async ({ print, read }) => {
  const encoder = await loadTextEncoder(insideOf(read, 'text'));
  const prompts = ['red apple', 'green apple', 'tiger', 'tiger face', ''];
  const { states, pooled } = noGrad(() => encoder.encode(prompts));
  print(`states [${states.shape}], pooled [${pooled.shape}]`);
  const directions = l2Normalize(pooled);
  const cosines = await matmul(directions, transpose(directions)).data();
  prompts.forEach((prompt, i) => {
    const row = prompts.map((_, j) => cosines[i * prompts.length + j]!.toFixed(2).padStart(6));
    print(`${row.join('')}   ${prompt || '(no words)'}`);
  });
  encoder.dispose();
};
