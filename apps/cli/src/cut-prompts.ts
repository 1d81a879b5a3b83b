import type { TextEncoder } from '@star-webgpu/text-encoder';

/** Characters of a quotation in a line for people. */
const quoted = 60;

/** A line for each different prompt that is longer than the model reads: what of it is not seen. */
export function cutPrompts(text: TextEncoder, prompts: readonly string[]): string[] {
  const different = [...new Set(prompts)];
  const { cut, truncated } = text.tokenize(different);
  const { positions } = text.model.config;
  return different.flatMap((prompt, i) =>
    truncated[i]
      ? [
          `"${shortened(prompt, 'end')}" is longer than ${positions} tokens; not seen: "${shortened(cut[i]!, 'middle')}"`,
        ]
      : [],
  );
}

/** A text on one line, without its end or its middle where it is long. */
function shortened(text: string, without: 'end' | 'middle'): string {
  const letters = Array.from(text.replace(/\s+/g, ' ').trim());
  if (letters.length <= quoted) return letters.join('');
  const tail = without === 'middle' ? letters.slice(-quoted / 2) : [];
  const [head, end] = [letters.slice(0, quoted - tail.length), tail].map((part) => part.join('').trim());
  return `${head} … ${end}`.trim();
}
