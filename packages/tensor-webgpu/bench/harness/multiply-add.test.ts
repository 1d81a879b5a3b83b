import { describe, expect, it } from 'vitest';
import { multiplyAddModule, operationsPerTurn } from './multiply-add.ts';

const run = (turns: number): number => {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(multiplyAddModule()));
  return (exports['run'] as (turns: number) => number)(turns);
};

/** The same chains in plain JavaScript. */
function expected(turns: number): number {
  const [a, b] = [Math.fround(0.999), Math.fround(0.001)];
  const chains = Array.from({ length: 12 }, (_, i) => Math.fround((i + 1) / 12));
  for (let step = 0; step < turns * 8; step++)
    chains.forEach((x, i) => (chains[i] = Math.fround(Math.fround(x * a) + b)));
  return chains.reduce((sum, x) => Math.fround(sum + x));
}

describe('multiplyAddModule', () => {
  it('does every multiplication and addition of every chain', () => {
    // The same operations in the same order: not a bit may differ.
    for (const turns of [1, 7, 1025]) expect(run(turns)).toBe(expected(turns));
  });

  it('counts two operations a lane, step and chain', () => {
    expect(operationsPerTurn).toBe(2 * 4 * 8 * 12);
  });
});
