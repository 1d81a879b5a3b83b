import {
  add,
  greater,
  mul,
  noGrad,
  reshape,
  scope,
  slice,
  sub,
  tensor,
  type Tensor,
  where,
} from '@star-webgpu/tensor-webgpu';
import type { TextEncoder, TextFeatures } from '@star-webgpu/text-encoder';

/** A place between two prompts: 0 is the one, 1 the other. */
export interface PromptBlend {
  readonly from: string;
  readonly to: string;
  readonly share: number;
}

/** What to draw: words, or a place between two prompts. */
export type Prompt = string | PromptBlend;

/** Features of prompts; those of a blend are mixed by its share, and it attends to the words of both. */
export function encodePrompts(text: TextEncoder, prompts: readonly Prompt[]): TextFeatures {
  return scope(() =>
    noGrad(() => {
      if (prompts.every((prompt) => typeof prompt === 'string')) return text.encode(prompts);
      const ends = prompts.map(endsOf);
      const both = text.encode([...ends.map(({ from }) => from), ...ends.map(({ to }) => to)]);
      return mixRows(
        both,
        ends.map(({ share }) => share),
      );
    }),
  );
}

/** Words are a blend with themselves; so are the two ends of one. */
export function endsOf(prompt: Prompt): PromptBlend {
  if (typeof prompt === 'string') return { from: prompt, to: prompt, share: 0 };
  if (prompt.share === 0) return { ...prompt, to: prompt.from };
  return prompt.share === 1 ? { ...prompt, from: prompt.to } : prompt;
}

/** (1 - share) a + share b of the first and the second half of the rows. */
function mixRows({ states, mask, pooled }: TextFeatures, shares: readonly number[]): TextFeatures {
  const B = shares.length;
  const share = tensor(shares, [B]);
  const halves = (x: Tensor): readonly [Tensor, Tensor] => [slice(x, 0, 0, B), slice(x, 0, B, 2 * B)];
  const mixed = (x: Tensor): Tensor => {
    const [a, b] = halves(x);
    const t = reshape(share, [B, ...new Array<number>(x.rank - 1).fill(1)]);
    return add(mul(a, sub(1, t)), mul(b, t));
  };
  return { states: mixed(states), mask: eitherOf(...halves(mask)), pooled: mixed(pooled) };
}

const eitherOf = (a: Tensor, b: Tensor): Tensor => where(greater(a, 0), a, b);

/** Rows of features, as views. */
export function takeRows({ states, mask, pooled }: TextFeatures, from: number, to: number): TextFeatures {
  const rows = (x: Tensor): Tensor => slice(x, 0, from, to);
  return { states: rows(states), mask: rows(mask), pooled: rows(pooled) };
}

export function disposeFeatures({ states, mask, pooled }: TextFeatures): void {
  for (const part of [states, mask, pooled]) part.dispose();
}
