import { beforeAll, describe, expect, it } from 'vitest';
import { toHalfBits } from '../dtype.ts';
import { cast } from '../ops/cast.ts';
import { add, mul } from '../ops/elementwise.ts';
import { slice } from '../ops/view.ts';
import { assign, assignBytes, zeros } from '../tensor.ts';
import { hashed, hashedValues, testDevice, valuesOf } from '../testing/index.ts';
import { plan } from './plan.ts';
import { HostCopies } from './host-copies.ts';

beforeAll(() => testDevice());

describe('HostCopies', () => {
  it('gives values as they were at its place among the commands, of tensors of odd sizes', async () => {
    const [x, y] = [hashed('x', [7]), cast(hashed('y', [1025]), 'f16')];
    const copies = new HostCopies([7 * 4, 1025 * 2]);
    expect([copies.offsets, copies.bytes]).toEqual([[0, 28], 28 + 2052]);
    copies.take([x, y]);
    assign(x, new Float32Array(7));
    const [first, second] = await copies.read((bytes) => [
      new Float32Array(bytes.slice(0, 28).buffer),
      new Uint16Array(bytes.slice(28, 28 + 2050).buffer),
    ]);
    expect(first).toEqual(hashedValues('x', 7));
    expect(second).toEqual(Uint16Array.from(hashedValues('y', 1025), toHalfBits));
    copies.dispose();
  });

  it('takes a planned tensor anew in each run, whose memory later commands use again', async () => {
    const x = hashed('x', [300]);
    const copies = new HostCopies([1200]);
    const replay = plan(() => {
      const passing = mul(x, 2);
      copies.take([passing]);
      passing.dispose();
      return add(mul(x, 3), mul(x, 4));
    });
    for (const name of ['a', 'b']) {
      assign(x, hashedValues(name, 300));
      replay.run();
      const doubled = await copies.read((bytes) => new Float32Array(bytes.slice().buffer));
      expect(doubled).toEqual(hashedValues(name, 300).map((value) => 2 * value));
      expect(await valuesOf(replay.result)).toEqual(
        hashedValues(name, 300).map((value) => Math.fround(3 * value) + Math.fround(4 * value)),
      );
    }
    for (const one of [replay, copies]) one.dispose();
  });

  it('refuses other sizes, what is not packed, and reading what was not taken', async () => {
    const copies = new HostCopies([12]);
    expect(() => copies.take([zeros([4])])).toThrow('HostCopies: tensors must be packed, of [12] bytes, got [16].');
    expect(() => copies.take([slice(zeros([4]), 0, 1, 4)])).toThrow('HostCopies: tensors must be packed');
    await expect(copies.read(() => 0)).rejects.toThrow(
      'HostCopies: read must come behind a copy, got none. Run what takes it first.',
    );
    copies.dispose();
  });
});

describe('assignBytes', () => {
  it('uploads from shared memory, halves of an odd number too', async () => {
    const target = zeros([3], { dtype: 'f16' });
    const shared = new Uint8Array(new SharedArrayBuffer(8));
    new Uint16Array(shared.buffer).set([1, -2, 0.5].map(toHalfBits), 1);
    assignBytes(target, shared.subarray(2));
    expect(await valuesOf(target)).toEqual(Float32Array.of(1, -2, 0.5));
    expect(() => assignBytes(target, shared)).toThrow('assignBytes: bytes must number 6 for a packed f16 [3], got 8.');
  });
});
