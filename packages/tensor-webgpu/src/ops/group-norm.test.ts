import { beforeAll, describe, expect, it } from 'vitest';
import { expectClose, gradcheck, hashed, hashedValues, testDevice } from '../testing/index.ts';
import { groupNorm } from './group-norm.ts';

beforeAll(testDevice);

function reference([B, H, W, C]: readonly number[], groups: number, silu: boolean): number[] {
  const x = hashedValues('x', B! * H! * W! * C!, 2, 0.7);
  const [weight, bias] = [hashedValues('w', C!, 1, 1), hashedValues('b', C!)];
  const per = C! / groups;
  const groupOf = (flat: number): number => Math.floor(flat / (H! * W! * C!)) * groups + Math.floor((flat % C!) / per);
  const sets = Array.from({ length: B! * groups }, () => [] as number[]);
  x.forEach((value, flat) => sets[groupOf(flat)]!.push(value));
  const stats = sets.map((set) => {
    const mean = set.reduce((s, v) => s + v, 0) / set.length;
    return { mean, deviation: Math.sqrt(set.reduce((s, v) => s + (v - mean) ** 2, 0) / set.length + 1e-6) };
  });
  return Array.from(x, (value, flat) => {
    const { mean, deviation } = stats[groupOf(flat)]!;
    const y = ((value - mean) / deviation) * weight[flat % C!]! + bias[flat % C!]!;
    return silu ? y / (1 + Math.exp(-y)) : y;
  });
}

describe('groupNorm', () => {
  it.each([
    [[2, 3, 5, 8], 2, 'none'],
    [[1, 9, 9, 12], 4, 'silu'],
    [[3, 1, 1, 8], 8, 'none'],
    [[2, 11, 7, 32], 32, 'silu'],
  ] as const)('[%s] in %i groups, activation %s', async (shape, groups, activation) => {
    const C = shape[3];
    const inputs = [hashed('x', shape, 2, 0.7), hashed('w', [C], 1, 1), hashed('b', [C])] as const;
    const options = { groups, eps: 1e-6, activation };
    const elements = shape[1] * shape[2] * (C / groups);
    if (elements > 1) {
      await expectClose(
        groupNorm(inputs[0], { ...options, weight: inputs[1], bias: inputs[2] }),
        reference(shape, groups, activation === 'silu'),
        1e-5,
      );
      await gradcheck((x, weight, bias) => groupNorm(x!, { ...options, weight: weight!, bias: bias! }), inputs);
    } else {
      // a group of one element is its own mean: only the shift is left
      await expectClose(
        groupNorm(inputs[0], { ...options, weight: inputs[1], bias: inputs[2] }),
        Array.from({ length: 24 }, (_, i) => hashedValues('b', 8)[i % 8]!),
        1e-5,
      );
    }
  });

  it('refuses channels that cannot be grouped', () => {
    const [weight, bias] = [hashed('w', [8]), hashed('b', [8])];
    expect(() => groupNorm(hashed('x', [1, 2, 2, 8]), { groups: 3, eps: 1e-6, weight, bias })).toThrow(
      'groupNorm: channels must be a multiple of 4 and of 3 groups, got [1,2,2,8].',
    );
  });
});
