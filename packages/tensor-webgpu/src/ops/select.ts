import { noGrad } from '../autograd/record.ts';
import type { Device } from '../device/device.ts';
import { check } from '../errors.ts';
import { selectKernel, topKKernel } from '../kernels/select.wgsl.ts';
import { foldGrid, type RowLanes } from '../kernels/snippets.ts';
import { scope } from '../scope.ts';
import { rowsOf } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { cast } from './cast.ts';
import { gather } from './gather.ts';
import { floatStorageOf, launch, singleStorageOf, singleType } from './launch.ts';
import { isBindable, partAlong, rowRuns, rowsPart } from './parts.ts';
import { checkShares, type RandomSource, seedTensor } from './random.ts';
import { contiguous, slice } from './view.ts';

/** The k largest elements of each row, largest first, the lower index first on a tie. x: [..., C] -> values [..., k], indices u32 [..., k]. */
export function topK(x: Tensor, k: number): { values: Tensor; indices: Tensor } {
  const { C } = rowsOf(x.shape);
  check('topK', Number.isInteger(k) && k >= 1 && k <= C, () => `k must lie in 1..${C}, got ${k}.`);
  const indices = empty([...x.shape.slice(0, -1), k], 'u32', x.storage.device);
  launch(topKKernel, {
    spec: { type: floatStorageOf(x), vector: C % 4 === 0 },
    tensors: { x: contiguous(x), y: indices },
    uniforms: { count: x.size, V: C, vectors: Math.ceil(C / 4), k },
    grid: foldGrid(Math.ceil(x.size / 64)),
  });
  return { values: gather(x, indices), indices };
}

/** Which tokens may be drawn. */
export interface FilterOptions {
  /** Keep this many of the largest logits, and ties of the last; 0 keeps all. */
  readonly topK?: number;
  /** Then keep the largest that hold this share of the probability, from 0 to 1; 0 keeps all. */
  readonly topP?: number;
  /** Probabilities are those of the logits divided by it. */
  readonly temperature?: number;
}

/** The same with its values on the device, so that runs of a plan may differ in them. */
export interface DeviceFilter {
  /** f32 [3]: topK, topP and temperature as above. */
  readonly values: Tensor;
  /** Filters that take part; without one, its value is not looked at. */
  readonly topK: boolean;
  readonly topP: boolean;
}

/** Which tokens may be drawn: values of the host or on the device. */
export type Filter = FilterOptions | DeviceFilter;

/** What may be drawn, and the seed to draw by. */
export type DrawOptions = Filter & RandomSource;

/**
 * Logits with those dropped by top-k, then top-p, set to -infinity, and the others as they were. logits: [R, V] -> [R, V]. No gradient.
 * Top-p sorts ascending and drops while the running sum of probabilities is at most 1 - p, never the largest.
 */
export function filterLogits(logits: Tensor, filter: Filter): Tensor {
  checkFilter('filterLogits', logits, filter);
  const y = empty(logits.shape, singleType(logits), logits.storage.device);
  select('logits', { logits, y }, filter);
  return noGrad(() => cast(y, logits.dtype));
}

/** One index a row, drawn from softmax(logits / temperature) after top-k and top-p. logits: [R, V] -> u32 [R]. Row r uses number r of its seed's stream. */
export function drawTokens(logits: Tensor, options: DrawOptions): Tensor {
  checkFilter('drawTokens', logits, options);
  return scope(() => {
    const seeds = seedTensor('drawTokens', options.seed);
    checkShares('drawTokens', logits.shape[0]!, seeds.shape[0]!);
    const y = empty([logits.shape[0]!], 'u32', logits.storage.device);
    select('index', { logits, y, seeds }, options);
    return y;
  });
}

/** Draws, and how sure each was. */
export interface SureDraw {
  /** u32 [R]. */
  readonly indices: Tensor;
  /** Probability of each draw among what top-k and top-p leave: 1 where they leave one. f32 [R]. */
  readonly confidence: Tensor;
}

/** The same draws as drawTokens, with their probabilities. logits: [R, V]. */
export function drawWithConfidence(logits: Tensor, options: DrawOptions): SureDraw {
  checkFilter('drawWithConfidence', logits, options);
  return scope(() => {
    const seeds = seedTensor('drawWithConfidence', options.seed);
    const R = logits.shape[0]!;
    checkShares('drawWithConfidence', R, seeds.shape[0]!);
    const [indices, confidence] = [empty([R], 'u32', logits.storage.device), empty([R], 'f32', logits.storage.device)];
    select('index', { logits, y: indices, seeds, confidence }, options);
    return { indices, confidence };
  });
}

/** One index a row, drawn from softmax(logits). logits: [R, V] -> u32 [R]. */
export const categorical = (logits: Tensor, source: RandomSource): Tensor => drawTokens(logits, source);

function checkFilter(op: string, logits: Tensor, filter: Filter): void {
  check(op, logits.rank === 2 && logits.shape[1]! > 0, () => `logits must be [R, V], got [${logits.shape}].`);
  if ('values' in filter) {
    const { dtype, shape, isPacked } = filter.values;
    const fits = dtype === 'f32' && shape.length === 1 && shape[0] === 3 && isPacked;
    return check(op, fits, () => `values must be packed f32 [3], got ${dtype} [${shape}].`);
  }
  const { topK: k = 0, topP = 0, temperature = 1 } = filter;
  check(op, Number.isInteger(k) && k >= 0, () => `topK must be a whole number from 0, got ${k}.`);
  check(op, topP >= 0 && topP <= 1, () => `topP must lie in 0..1, got ${topP}.`);
  check(op, temperature > 0, () => `temperature must be above 0, got ${temperature}. For the likeliest use topK 1.`);
}

interface Selection {
  readonly logits: Tensor;
  readonly y: Tensor;
  readonly seeds?: Tensor | undefined;
  readonly confidence?: Tensor | undefined;
}

const minusInfinity = 0xff80_0000;

/** Invocations of a workgroup where each owns a row: few, so that small scales still spread over cores. */
const plainGroup = 8;

/** A subgroup a row, or one invocation where there are none. */
function selectLanes({ profile, plainKernels }: Device): RowLanes {
  const subgroup = plainKernels ? 0 : profile.subgroupSize;
  return subgroup > 1
    ? { group: subgroup, lanes: subgroup, shuffles: true }
    : { group: plainGroup, lanes: 1, shuffles: false };
}

/** What the kernel is told of a filter: what is compiled in, and its numbers. */
function filterParts(filter: Filter, V: number): { spec: FilterSpec; numbers: FilterNumbers } {
  if ('values' in filter) {
    const { topK: rank, topP: mass } = filter;
    return { spec: { topK: rank, topP: mass, given: true }, numbers: { k: V, dropped: 0, sharpness: 1 } };
  }
  const { topK: k = 0, topP = 0, temperature = 1 } = filter;
  return {
    spec: { topK: k > 0 && k < V, topP: topP > 0, given: false },
    numbers: { k: Math.min(k, V), dropped: 1 - topP, sharpness: 1 / temperature },
  };
}

type FilterSpec = Readonly<Record<'topK' | 'topP' | 'given', boolean>>;
type FilterNumbers = Readonly<Record<'k' | 'dropped' | 'sharpness', number>>;

function select(
  result: 'logits' | 'index',
  { logits, y, seeds, confidence }: Selection,
  options: Filter & Partial<RandomSource>,
): void {
  const x = noGrad(() => contiguous(logits));
  const selection = { logits: x, y, seeds, confidence };
  if (isBindable(x) && isBindable(y)) selectRows(result, selection, options);
  else selectByParts(result, selection, options);
  if (x !== logits) x.dispose();
}

/** Rows of one seed after the other, in runs: a row keeps its number in its seed's stream. */
function selectByParts(
  result: 'logits' | 'index',
  { logits, y, seeds, confidence }: Selection,
  options: Filter & Partial<RandomSource>,
): void {
  const [R, V] = logits.shape as [number, number];
  const groups = seeds?.shape[0] ?? 1;
  const rows = R / groups;
  for (let group = 0; group < groups; group++) {
    const seed = seeds && (groups === 1 ? seeds : contiguous(slice(seeds, 0, group, group + 1)));
    const shareOf = (all: Tensor): Tensor => partAlong(all, 0, [group * rows, (group + 1) * rows]);
    const [x, drawn, sure] = [shareOf(logits), shareOf(y), confidence && shareOf(confidence)];
    check(
      'select',
      x.offset === 0 && drawn.offset === 0 && !sure?.offset,
      () => `rows of each seed must begin at whole bindings, got ${rows} rows of ${V}. Draw fewer at once.`,
    );
    for (const run of rowRuns('select', rows, [x, drawn, ...(sure ? [sure] : [])])) {
      const cut = (one: Tensor): Tensor => rowsPart(one, rows, run);
      const parts = { logits: cut(x), y: cut(drawn), seeds: seed, confidence: sure && cut(sure) };
      selectRows(result, parts, { ...options, offset: (options.offset ?? 0) + run[0] });
    }
  }
}

function selectRows(
  result: 'logits' | 'index',
  { logits: x, y, seeds, confidence }: Selection,
  options: Filter & Partial<RandomSource>,
): void {
  const { stream = 0, offset = 0 } = options;
  const [rows, V] = x.shape as [number, number];
  const lanes = selectLanes(x.storage.device);
  const { spec, numbers } = filterParts(options, V);
  launch(selectKernel, {
    spec: {
      type: floatStorageOf(x),
      stored: result === 'logits' ? singleStorageOf(y) : 'f32',
      vector: V % 4 === 0,
      ...spec,
      result,
      confidence: confidence !== undefined,
      ...lanes,
    } as const,
    tensors: {
      x,
      ...(seeds && { seeds }),
      ...('values' in options && { numbers: options.values }),
      y,
      ...(confidence && { confidence }),
    },
    uniforms: {
      rows,
      V,
      vectors: Math.ceil(V / 4),
      ...numbers,
      minusInfinity,
      perSeed: Math.max(1, rows / (seeds?.shape[0] ?? 1)),
      stream,
      offset,
    },
    grid: foldGrid(Math.ceil((rows * lanes.lanes) / lanes.group)),
  });
}
