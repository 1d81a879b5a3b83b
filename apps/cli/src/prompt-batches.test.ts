import { expect, it } from 'vitest';
import { promptBatches } from './prompt-batches.ts';

const pictures = ['a', 'a', 'a', 'b', 'c', 'c'].map((prompt, seed) => ({ prompt, seed }));
const seedsOf = (crossAttention: 'per-sample' | 'first-sample', batch: number): number[][] =>
  promptBatches({ star: { config: { crossAttention } } }, pictures, batch).map((some) => some.map(({ seed }) => seed));

it('batches are full where each picture sees its own text', () => {
  expect(seedsOf('per-sample', 4)).toEqual([
    [0, 1, 2, 3],
    [4, 5],
  ]);
});

it('batches have one prompt where all pictures see the text of the first', () => {
  expect(seedsOf('first-sample', 4)).toEqual([[0, 1, 2], [3], [4, 5]]);
  expect(seedsOf('first-sample', 2)).toEqual([[0, 1], [2], [3], [4, 5]]);
});
