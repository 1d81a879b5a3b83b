import { describe, expect, it } from 'vitest';
import { hostRandom, philoxBlock } from './host-random.ts';

describe('host random numbers', () => {
  it('equal the published test vectors of Philox4x32-10', () => {
    // Random123's known answers (kat_vectors): all zeros, all ones, and digits of pi.
    expect(philoxBlock([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    const ones = 0xffffffff;
    expect(philoxBlock([ones, ones, ones, ones], [ones, ones])).toEqual([
      0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd,
    ]);
    expect(philoxBlock([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])).toEqual([
      0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1,
    ]);
  });

  it('depend on seed and stream', () => {
    const first = (seed: number, stream: number): number => hostRandom(seed, stream).uniform();
    expect(first(1, 0)).toBe(first(1, 0));
    expect(new Set([first(1, 0), first(2, 0), first(1, 1), first(1 + 2 ** 32, 0)]).size).toBe(4);
  });

  it('go on behind the numbers that are skipped', () => {
    const all = hostRandom(7, 3);
    const numbers = Array.from({ length: 11 }, () => all.uniform());
    for (const skip of [0, 1, 4, 7, 10]) expect(hostRandom(7, 3, skip).uniform()).toBe(numbers[skip]);
  });
});
