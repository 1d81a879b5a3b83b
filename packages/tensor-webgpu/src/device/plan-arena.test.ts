import { beforeAll, describe, expect, it } from 'vitest';
import { gelu, mul } from '../ops/elementwise.ts';
import { matmul } from '../ops/matmul.ts';
import { sum } from '../ops/reduce.ts';
import { scope } from '../scope.ts';
import { assign, type Tensor } from '../tensor.ts';
import { hashed, hashedValues, testDevice, valuesOf } from '../testing/index.ts';
import type { Device } from './device.ts';
import { PlanArena } from './plan-arena.ts';
import { type Plan, plan } from './plan.ts';

let device: Device;
beforeAll(async () => void (device = await testDevice()));

/** A chain of products of side n: it needs two matrices on the way, and leaves a row. */
const chain = (x: Tensor): Tensor => sum(gelu(matmul(mul(gelu(matmul(x, x)), 1 / x.shape[0]!), x)), { axis: 0 });

const sides = [16, 33, 65, 24];

describe('plans of one arena', () => {
  it('give what they give with memory of their own, in any order, while the arena grows', async () => {
    const arena = new PlanArena(device);
    const inputs = sides.map((n) => hashed(`x${n}`, [n, n]));
    const plans: Plan<Tensor>[] = [];
    const run = (i: number): Tensor => {
      const own = (plans[i] ??= plan(() => chain(inputs[i]!), { arena }));
      own.run();
      return own.result;
    };
    const orders = [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [1, 3, 0, 2],
    ];
    for (const [round, order] of orders.entries()) {
      for (const i of order) assign(inputs[i]!, hashedValues(`${round}/${i}`, sides[i]! ** 2));
      const results = order.map(run);
      for (const [k, i] of order.entries()) {
        const want = await valuesOf(scope(() => chain(inputs[i]!)));
        // what is returned outlasts the runs of the others
        expect(await valuesOf(results[k]!)).toEqual(want);
      }
    }
    for (const one of plans) one.dispose();
    arena.dispose();
  });

  it('take together what the largest of them takes', () => {
    const arena = new PlanArena(device);
    const sizes = sides.map((n) => {
      const one = plan(() => chain(hashed(`x${n}`, [n, n])), { arena });
      one.dispose();
      return one.size.bytes - one.size.lastingBytes;
    });
    expect(arena.bytes).toBeGreaterThanOrEqual(Math.max(...sizes));
    expect(arena.bytes).toBeLessThan(1.1 * Math.max(...sizes));
    arena.dispose();
  });

  it('give all memory back, and refuse to run without it', async () => {
    const x = hashed('x', [16, 16]);
    const before = device.stats().liveBytes;
    const arena = new PlanArena(device);
    const [small, large] = [plan(() => chain(x), { arena }), plan(() => gelu(matmul(x, x)), { arena })];
    small.run();
    large.run();
    await device.idle();
    small.dispose();
    arena.dispose();
    expect(() => large.run()).toThrow(
      'plan: run must come before the arena is freed. Record the function again, with another arena.',
    );
    large.dispose();
    expect(device.stats().liveBytes).toBe(before);
  });
});
