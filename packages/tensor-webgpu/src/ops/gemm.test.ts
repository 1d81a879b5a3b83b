import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { currentDevice } from '../device/current.ts';
import { Device } from '../device/device.ts';
import { openGpu } from '../device/node.ts';
import { profileOf } from '../device/profile.ts';
import { type DType, fromHalfBits, toHalfBits } from '../dtype.ts';
import { expectClose, gradcheck, hashed, hashedValues, testDevice } from '../testing/index.ts';
import { empty, type Tensor, tensor } from '../tensor.ts';
import { conv2d } from './conv2d.ts';
import { type Epilogue, gemm } from './gemm.ts';
import { gemmBackends, gemmCandidates, type GemmPlan, overrideGemm } from './gemm-plan.ts';

await testDevice();
beforeAll(testDevice);
afterEach(() => overrideGemm(undefined));

type Float = Extract<DType, 'f32' | 'f16'>;
type Sides = readonly [M: number, N: number, K: number];

/** Only the sums of f16 operands are rounded, to 11 bits; f32 sums differ by their order. */
const tolerances: Readonly<Record<Float, number>> = { f32: 1e-5, f16: 6e-4 };

/** Every product by the first candidate of a back end, with some of its numbers changed. */
const force = (backend: string, changes: Partial<GemmPlan> = {}): void =>
  overrideGemm((problem, device) => {
    const found = gemmCandidates(problem, device).find(({ tile }) => tile.backend === backend);
    return { ...found!, ...changes };
  });

const halved = (x: number): number => fromHalfBits(toHalfBits(x));
const values = (name: string, count: number, dtype: Float): Float32Array => {
  const exact = hashedValues(name, count);
  return dtype === 'f16' ? exact.map(halved) : exact;
};

interface Layout {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** A and B as tensors, and their product by the definition, in float64. */
function operands([M, N, K]: Sides, { transposeA, transposeB }: Layout, dtype: Float): [Tensor, Tensor, Float64Array] {
  const [a, b] = [values('a', M * K, dtype), values('b', K * N, dtype)];
  const want = new Float64Array(M * N);
  for (let m = 0; m < M; m++)
    for (let n = 0; n < N; n++)
      for (let k = 0; k < K; k++)
        want[m * N + n]! += a[transposeA ? k * M + m : m * K + k]! * b[transposeB ? n * K + k : k * N + n]!;
  const left = tensor(a, transposeA ? [K, M] : [M, K], { dtype });
  return [left, tensor(b, transposeB ? [N, K] : [K, N], { dtype }), want];
}

const layouts: readonly (readonly [string, Layout])[] = [
  ['NN', {}],
  ['NT', { transposeB: true }],
  ['TN', { transposeA: true }],
];
/** Each shader variant takes a software adapter a good part of a second to compile: sizes are chosen so that few serve all edges. */
const sizes: readonly Sides[] = [
  [1, 1, 1],
  [7, 5, 9],
  [65, 70, 33],
  [132, 136, 40],
  [257, 4, 64],
];

const activate: Readonly<Record<string, (x: number) => number>> = {
  none: (x) => x,
  relu: (x) => Math.max(0, x),
  gelu: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  silu: (x) => x / (1 + Math.exp(-x)),
};

describe.each(gemmBackends(currentDevice()))('the %s back end', (backend) => {
  describe.each(['f32', 'f16'] as const)('on %s operands', (dtype) => {
    const halves = (currentDevice().profile.f16 && dtype === 'f16' ? ['packed', 'f16'] : ['packed']) as (
      | 'packed'
      | 'f16'
    )[];
    const cases = layouts.flatMap(([name, layout]) =>
      halves.slice(0, name === 'NN' ? 2 : 1).map((half) => [name, half, layout] as const),
    );
    it.each(cases)('%s, halves %s: equals the definition at every size', async (_, half, layout) => {
      force(backend, { halves: half });
      for (const sides of sizes) {
        const [M, N, K] = sides;
        const [a, b, want] = operands(sides, layout, dtype);
        const c = empty([M, N], dtype);
        gemm({ a, b, c, M, N, K, ...layout });
        await expectClose(c, want, tolerances[dtype]);
      }
    });

    it.each(layouts)('%s: sums parts of K apart and adds them in order', async (_, layout) => {
      for (const sides of [
        [3, 5, 130],
        [34, 12, 260],
      ] as const) {
        force(backend, { parts: 3 });
        const [M, N, K] = sides;
        const [a, b, want] = operands(sides, layout, dtype);
        const c = empty([M, N], dtype);
        gemm({ a, b, c, M, N, K, ...layout });
        await expectClose(c, want, tolerances[dtype]);
      }
    });

    it('steps through batches, and shares one matrix', async () => {
      force(backend);
      const [M, N, K, batch] = [5, 6, 7, 3];
      const [a, b] = [values('a', batch * M * K, dtype), values('b', K * N, dtype)];
      const want = Float64Array.from({ length: batch * M * N }, (_, i) => {
        const [row, n] = [Math.floor(i / N), i % N];
        return Array.from({ length: K }, (_unused, k) => a[row * K + k]! * b[k * N + n]!).reduce((x, y) => x + y, 0);
      });
      const c = empty([batch, M, N], dtype);
      gemm({
        a: tensor(a, [batch, M, K], { dtype }),
        b: tensor(b, [K, N], { dtype }),
        c,
        M,
        N,
        K,
        batch,
        batchA: M * K,
      });
      await expectClose(c, want, tolerances[dtype]);
    });

    it.each([1, 2])('finishes sums by bias, activation, gate, residual and what C held, in %i parts', async (parts) => {
      for (const [M, N, K, activation] of [
        [6, 9, 40, 'gelu'],
        [34, 16, 40, 'silu'],
        [10, 6, 40, 'relu'],
      ] as const) {
        force(backend, { parts });
        const [a, b, sums] = operands([M, N, K], {}, dtype);
        const extra = (name: string, shape: readonly number[]): [Tensor, Float32Array] => {
          const host = values(name, shape[0]! * (shape[1] ?? 1), dtype);
          return [tensor(host, shape, { dtype }), host];
        };
        const [[bias, hostBias], [residual, hostResidual]] = [extra('bias', [N]), extra('residual', [M, N])];
        const [[gate, hostGate], [c, before]] = [extra('gate', [2, N]), extra('c', [M, N])];
        const keep = empty([M, N], dtype);
        const epilogue: Epilogue = { bias, activation, gate, gateRows: M / 2, residual, keep, accumulate: true };
        gemm({ a, b, c, M, N, K, ...epilogue });
        const kept = sums.map((sum, i) => sum + hostBias[i % N]!);
        const gateOf = (i: number): number => hostGate[Math.floor(Math.floor(i / N) / (M / 2)) * N + (i % N)]!;
        await expectClose(keep, kept, tolerances[dtype]);
        await expectClose(
          c,
          kept.map((z, i) => before[i]! + hostResidual[i]! + gateOf(i) * activate[activation]!(z)),
          tolerances[dtype],
        );
      }
    });
  });

  it('reads f16 and writes f32, as weight gradients want', async () => {
    for (const sides of [
      [9, 7, 33],
      [16, 32, 64],
    ] as const) {
      force(backend);
      const [M, N, K] = sides;
      const [a, b, want] = operands(sides, { transposeA: true }, 'f16');
      const c = tensor(new Float32Array(M * N).fill(1), [M, N]);
      gemm({ a, b, c, M, N, K, transposeA: true, accumulate: true });
      // halves are exact in f32, so only the order of the sums differs
      await expectClose(
        c,
        want.map((x) => x + 1),
        1e-5,
      );
    }
  });

  it('gives a convolution and its gradients, by whole and by parts', async () => {
    for (const parts of [1, 2]) {
      force(backend, { parts });
      const inputs = [hashed('x', [2, 7, 5, 8]), hashed('w', [12, 8, 3, 3]), hashed('b', [12])] as const;
      await gradcheck((x, w, b) => conv2d(x!, w!, { bias: b!, padding: 1 }), inputs);
      await gradcheck((x, w, b) => conv2d(x!, w!, { bias: b!, stride: 2, padding: [0, 1, 1, 0] }), inputs);
    }
  });
});

/** A device that compiles and checks every dispatch but computes nothing, with the profile of a GPU that has matrix units. */
async function matrixDevice(): Promise<{ device: Device; close: () => void }> {
  const { adapter, close } = await openGpu({ backend: 'null' });
  const { maxComputeWorkgroupStorageSize } = adapter.limits;
  const features = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'] as GPUFeatureName[];
  const gpu = await adapter.requestDevice({
    requiredFeatures: features,
    requiredLimits: { maxComputeWorkgroupStorageSize },
  });
  const matrix = { m: 16, n: 16, k: 16 };
  return { device: new Device(gpu, { ...profileOf(adapter), isCpu: false, subgroupSize: 32, matrix }), close };
}

describe('matrix units', () => {
  it('are chosen for f16 where the adapter has them, and their dispatches are valid', async () => {
    const { device, close } = await matrixDevice();
    expect(gemmBackends(device)).toEqual(['matrix', 'workgroup', 'plain']);
    for (const [M, N, K, dtype, backend] of [
      [256, 256, 64, 'f16', 'matrix'],
      [33, 17, 700, 'f16', 'matrix'],
      [256, 256, 64, 'f32', 'workgroup'],
    ] as const) {
      overrideGemm((problem, on) => {
        const [first] = gemmCandidates(problem, on);
        expect(first!.tile.backend).toBe(backend);
        return first;
      });
      const [a, b, c] = [empty([M, K], dtype, device), empty([N, K], dtype, device), empty([M, N], dtype, device)];
      gemm({ a, b, c, M, N, K, transposeB: true, activation: 'gelu', keep: empty([M, N], dtype, device) });
    }
    await device.idle();
    device.destroy();
    close();
  });
});

describe('the choice of a back end', () => {
  it('offers candidates of every back end that the device can run, all of them right', async () => {
    const sides = [65, 68, 72] as const;
    const [a, b, want] = operands(sides, {}, 'f32');
    const [M, N, K] = sides;
    let candidates: readonly GemmPlan[] = [];
    overrideGemm((problem, device) => ((candidates = gemmCandidates(problem, device)), undefined));
    gemm({ a, b, c: empty([M, N]), M, N, K });
    expect([...new Set(candidates.map(({ tile }) => tile.backend))].toSorted()).toEqual(
      gemmBackends(currentDevice()).toSorted(),
    );
    for (const plan of candidates) {
      overrideGemm(() => plan);
      const c = empty([M, N]);
      gemm({ a, b, c, M, N, K });
      await expectClose(c, want, tolerances.f32);
    }
  });
});
