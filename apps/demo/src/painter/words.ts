import type { Pipeline } from '@star-webgpu/sampler';
import { wordTokens } from '@star-webgpu/text-encoder';

const words = /[\p{Letter}\p{Number}][\p{Letter}\p{Mark}\p{Number}'’-]*/gu;

/** The words of a prompt that a sampling can watch: each once, those that were cut off a long prompt left out. */
export function watchableWords({ text, star }: Pipeline, prompt: string): string[] {
  const found = new Set([...prompt.toLowerCase().matchAll(words)].map(([word]) => word));
  const ids = [...text.tokenize([prompt]).ids];
  const most = star.config.width / star.config.heads;
  return [...found].filter((word) => wordTokens(text.tokenizer, ids, word).length > 0).slice(0, most);
}
