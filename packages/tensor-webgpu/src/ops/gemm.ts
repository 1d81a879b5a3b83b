import type { DType } from '../dtype.ts';
import type { Kernel } from '../kernels/define-kernel.ts';
import { gemmMatrixKernel } from '../kernels/gemm/gemm-matrix.wgsl.ts';
import { gemmPlainKernel } from '../kernels/gemm/gemm-plain.wgsl.ts';
import { gemmReduceKernel, reducedPerGroup } from '../kernels/gemm/gemm-reduce.wgsl.ts';
import { gemmSharedKernel } from '../kernels/gemm/gemm-shared.wgsl.ts';
import { gemmWorkgroupKernel } from '../kernels/gemm/gemm-workgroup.wgsl.ts';
import { type Activation, baseSpec, type GemmSpec, windowUniforms } from '../kernels/gemm/spec.ts';
import { foldGrid } from '../kernels/snippets.ts';
import type { FloatStorage } from '../kernels/storage.ts';
import { empty, type Tensor } from '../tensor.ts';
import { productParts } from './gemm-parts.ts';
import { gemmPlan, partLength, type GemmPlan, type GemmProblem, type GemmTile, tileSides } from './gemm-plan.ts';
import { launch } from './launch.ts';

/** Run-time numbers of a convolution's window. */
export type WindowUniforms = Readonly<Record<keyof typeof windowUniforms, number>>;

/** What happens to the sums before they are stored: C = C' + residual + gate * activation(A B + bias), with C' where it accumulates. */
export interface Epilogue {
  /** [N] */
  readonly bias?: Tensor | undefined;
  readonly activation?: Activation | undefined;
  /** [M / gateRows, N]: one row serves `gateRows` neighbouring rows of C. */
  readonly gate?: Tensor | undefined;
  readonly gateRows?: number | undefined;
  /** [M, N] */
  readonly residual?: Tensor | undefined;
  /** Receives A B + bias. [M, N] of C's dtype. */
  readonly keep?: Tensor | undefined;
  readonly accumulate?: boolean | undefined;
}

/** One batched product on packed operands; b may start at any offset. Bias, gate and residual share a dtype; gate, residual and keep want one batch. */
export interface Gemm extends Epilogue {
  readonly a: Tensor;
  readonly b: Tensor;
  /** f32 or f16, whatever the operands are. */
  readonly c: Tensor;
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly batch?: number;
  /** Elements between batches; 0 shares one matrix. */
  readonly batchA?: number;
  readonly batchB?: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** A is a picture. `corner`: four batches, each a corner of every pixel of a C of twice the sides [.., 2 h, 2 w, N]; N is a multiple of 4. */
  readonly window?: {
    readonly kind: 'forward' | 'corner' | 'input' | 'weight';
    readonly uniforms: WindowUniforms;
  };
}

const noWindow = Object.fromEntries(Object.keys(windowUniforms).map((name) => [name, 0]));

/** Runs one product: C = finish(A B + bias), accumulated in f32; in several where its tensors are too large to bind. */
export function gemm(product: Gemm): void {
  for (const each of productParts(product)) multiply(each);
}

/** By parts of K, or through f32 where halves cannot be stored in place. */
function multiply(product: Gemm): void {
  const { c, M, N, batch = 1 } = product;
  const { device } = c.storage;
  const problem = gemmProblem(product, product.a.dtype);
  const plan = gemmPlan(problem, device);
  const operands = operandSpec(product, plan);
  const direct = plan.parts === 1 ? directSpec(product, plan) : undefined;
  if (direct) return launchTile(product, { plan, problem, c, spec: { ...operands, ...direct } });
  const parts = empty([batch * plan.parts, M, N], 'f32', device);
  const widthC = storeWidth(plan.tile, N);
  launchTile(withoutEpilogue(product), { plan, problem, c: parts, spec: { ...operands, widthC } });
  reduce(product, plan, parts);
  parts.dispose();
}

const withoutEpilogue = (product: Gemm): Gemm => ({
  ...product,
  bias: undefined,
  gate: undefined,
  residual: undefined,
  keep: undefined,
});

/** Sides and layouts of a product. */
export type GemmSides = Pick<Gemm, 'M' | 'N' | 'K' | 'batch' | 'transposeA' | 'transposeB' | 'window'>;

/** What the plan of a product of that dtype is chosen by. */
export function gemmProblem(
  { M, N, K, batch = 1, transposeA, transposeB, window }: GemmSides,
  dtype: DType,
): GemmProblem {
  const sourceA = window?.kind ?? (transposeA ? 'columns' : 'rows');
  const { channels = 1, outWidth = 1 } = window?.uniforms ?? {};
  const run = window ? (window.kind === 'weight' ? outWidth : channels) : 1;
  return { M, N, K, batch, sourceA, sourceB: transposeB ? 'columns' : 'rows', dtype, run };
}

/** How a float tensor is read under a plan. */
const storageOf = (dtype: DType, halves: FloatStorage): FloatStorage => (dtype === 'f16' ? halves : 'f32');

/** True if rows of N divide into vectors of that many; WGSL packs no vectors of three. */
const isWhole = (N: number, columns: number): boolean => columns !== 3 && N % columns === 0;

/** Neighbouring columns that one invocation of a tile stores. */
const columnsOf = (tile: GemmTile): number => (tile.backend === 'shared' ? tile.columns : 4);

const storeWidth = (tile: GemmTile, N: number): number => (isWhole(N, columnsOf(tile)) ? columnsOf(tile) : 1);

/** Operands of a product as the plan reads them. */
function operandSpec(product: Gemm, { halves, tile }: GemmPlan): GemmSpec {
  const { a, b, M, N, K, batchA = 0, batchB = 0, transposeA = false, transposeB = false, window } = product;
  const { sourceA, sourceB } = gemmProblem(product, a.dtype);
  const wholeA = window ? window.uniforms.channels % 4 === 0 : (transposeA ? M : K) % 4 === 0 && batchA % 4 === 0;
  const width = transposeB ? 4 : columnsOf(tile);
  // pairs of B pay only where A is [M, K]; with A [K, M] lavapipe reads them faster one by one
  const pairs = width === 2 && (sourceA === 'columns' || sourceA === 'weight');
  const wholeB = isWhole(transposeB ? K : N, width) && batchB % width === 0 && b.offset % width === 0 && !pairs;
  return {
    ...baseSpec,
    sourceA,
    sourceB,
    storageA: storageOf(a.dtype, halves),
    storageB: storageOf(b.dtype, halves),
    widthA: wholeA ? 4 : 1,
    widthB: wholeB ? width : 1,
  };
}

type EpilogueSpec = Pick<
  GemmSpec,
  'storageC' | 'storageExtra' | 'bias' | 'activation' | 'keep' | 'gate' | 'residual' | 'accumulate' | 'doubled'
>;

/** The epilogue of a tile that writes C itself, or undefined where packed halves would share words between invocations. */
function directSpec(product: Gemm, { tile, halves }: GemmPlan): (EpilogueSpec & Pick<GemmSpec, 'widthC'>) | undefined {
  const { c, N } = product;
  const widthC = storeWidth(tile, N);
  const packable = widthC > 1 && c.dtype === 'f16';
  const native = c.storage.device.profile.f16 ? 'f16' : undefined;
  const storageC = packable ? halves : storageOf(c.dtype, native ?? 'packed');
  if (storageC === 'packed' && widthC === 1) return undefined;
  return { ...epilogueSpec(product, storageC), widthC };
}

function epilogueSpec(product: Gemm, storageC: FloatStorage): EpilogueSpec {
  const { bias, gate, residual, keep, activation = 'none', accumulate = false } = product;
  const extra = (bias ?? gate ?? residual)?.dtype ?? 'f32';
  const halves = storageC === 'f32' ? 'packed' : storageC;
  return {
    storageC,
    storageExtra: storageOf(extra, halves),
    bias: bias !== undefined,
    activation,
    keep: keep !== undefined,
    gate: gate !== undefined,
    residual: residual !== undefined,
    accumulate,
    doubled: product.window?.kind === 'corner',
  };
}

const epilogueTensors = ({ bias, gate, residual, keep }: Gemm): Record<string, Tensor> => ({
  ...(bias && { bias_data: bias }),
  ...(gate && { gate_data: gate }),
  ...(residual && { residual_data: residual }),
  ...(keep && { kept_data: keep }),
});

interface TileLaunch {
  readonly plan: GemmPlan;
  readonly problem: GemmProblem;
  readonly c: Tensor;
  readonly spec: GemmSpec;
}

function launchTile(product: Gemm, { plan, problem, c, spec }: TileLaunch): void {
  const { a, b, M, N, K, batch = 1, batchA = 0, batchB = 0, gateRows = 1, window } = product;
  const { tile, parts } = plan;
  const { rows, columns } = tileSides(tile);
  const partK = partLength(problem, plan);
  const { backend: _, ...sides } = tile;
  launch(kernelOf(tile), {
    spec: { ...spec, ...sides },
    tensors: { a_data: a, b_data: b, ...epilogueTensors(product), c_data: c },
    uniforms: {
      M,
      N,
      K,
      // corners share a picture and are told apart by where they would begin
      batchA: window?.kind === 'corner' ? 1 : batchA,
      batchB,
      offsetB: b.offset,
      parts,
      partK,
      gateRows,
      ...(window?.uniforms ?? noWindow),
    },
    grid: [Math.ceil(N / columns), Math.ceil(M / rows), batch * parts],
  });
}

const kernels = {
  plain: gemmPlainKernel,
  shared: gemmSharedKernel,
  workgroup: gemmWorkgroupKernel,
  matrix: gemmMatrixKernel,
} as const;

/** The kernel of a tile's back end; its spec is the product's with the tile's numbers. */
const kernelOf = ({ backend }: GemmTile): Kernel => kernels[backend] as unknown as Kernel;

/** C = finish(sum of parts), in the order of the parts. */
function reduce(product: Gemm, { parts }: GemmPlan, partial: Tensor): void {
  const { c, M, N, gateRows = 1 } = product;
  const widthC = N % 4 === 0 ? 4 : N % 2 === 0 ? 2 : 1;
  const spec: GemmSpec = { ...baseSpec, ...epilogueSpec(product, storageOf(c.dtype, 'packed')), widthC };
  const count = c.size;
  launch(gemmReduceKernel, {
    spec,
    tensors: { parts_data: partial, ...epilogueTensors(product), c_data: c },
    uniforms: { count, M, N, parts, gateRows, outWidth: product.window?.uniforms.outWidth ?? 0 },
    grid: foldGrid(Math.ceil(count / reducedPerGroup(spec))),
  });
}
