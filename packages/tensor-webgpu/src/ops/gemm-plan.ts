import type { Device } from '../device/device.ts';
import type { DType } from '../dtype.ts';
import { matrixBytes, matrixThreads, type MatrixTile } from '../kernels/gemm/matrix.ts';
import { plainTile } from '../kernels/gemm/plain.ts';
import type { SharedTile } from '../kernels/gemm/shared.ts';
import type { SourceA, SourceB } from '../kernels/gemm/spec.ts';
import { workgroupBytes, workgroupThreads, type WorkgroupTile } from '../kernels/gemm/workgroup.ts';
import { problemKey, tileKey } from '../tuning/keys.ts';
import type { TuningTable } from '../tuning/table.ts';

/** What a plan is chosen by: sides, layouts and element types of one product. */
export interface GemmProblem {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly batch: number;
  readonly sourceA: SourceA;
  readonly sourceB: SourceB;
  readonly dtype: DType;
  /** Where A is a window: the run of K that must stay in one part of a shared tile, a tap's channels or a line of pixels. */
  readonly run: number;
}

/** A back end with the tile that one workgroup computes. */
export type GemmTile =
  | ({ readonly backend: 'shared' } & SharedTile)
  | ({ readonly backend: 'workgroup' } & WorkgroupTile)
  | ({ readonly backend: 'matrix' } & MatrixTile)
  | { readonly backend: 'plain' };

export type GemmBackend = GemmTile['backend'];

/** How one product is computed. */
export interface GemmPlan {
  readonly tile: GemmTile;
  /** Runs of K that are summed apart, each by its own workgroups, and then added in order. */
  readonly parts: number;
  /** How f16 operands are read: as they are, or two out of a u32. */
  readonly halves: 'f16' | 'packed';
}

/** A plan for a product, or undefined to leave the choice to the device's profile. */
export type GemmOverride = (problem: GemmProblem, device: Device) => GemmPlan | undefined;

let override: GemmOverride | undefined;

/** Puts a choice before the built-in one, for tests and tuning; undefined takes it away. */
export function overrideGemm(choice: GemmOverride | undefined): void {
  override = choice;
}

/** Runs something, every product of it by one plan. */
export function withPlan(plan: GemmPlan, run: () => void): void {
  const former = override;
  override = () => plan;
  try {
    run();
  } finally {
    override = former;
  }
}

/** A device's tuned tiles by `problemKey`, and the plans that were made of them. */
interface Tuned {
  readonly tiles: ReadonlyMap<string, GemmTile | null>;
  readonly plans: Map<string, GemmPlan>;
}

const tunings = new WeakMap<Device, Tuned>();

/** Puts a table's tiles before the built-in choice on a device; undefined goes back to that. */
export function useTuning(device: Device, table: TuningTable | undefined): void {
  if (!table?.entries.length) return void tunings.delete(device);
  const tiles = new Map(table.entries.map(({ problem, tile }) => [problemKey(problem), tile]));
  tunings.set(device, { tiles, plans: new Map() });
}

/** The plan of a product on a device: an override's, a tuned one, or the first candidate. */
export function gemmPlan(problem: GemmProblem, device: Device): GemmPlan {
  const tuned = tunings.get(device);
  return (
    override?.(problem, device) ?? (tuned && tunedPlan(problem, device, tuned)) ?? gemmCandidates(problem, device)[0]!
  );
}

/** The candidate with the tuned tile, or the first where the product has no tile or another one of its key cannot run it. */
function tunedPlan(problem: GemmProblem, device: Device, { tiles, plans }: Tuned): GemmPlan {
  const exact = JSON.stringify(problem);
  const known = plans.get(exact);
  if (known) return known;
  const candidates = gemmCandidates(problem, device);
  const tile = tiles.get(problemKey(problem));
  const found = (tile && candidates.find((plan) => tileKey(plan.tile) === tileKey(tile))) ?? candidates[0]!;
  plans.set(exact, found);
  return found;
}

/** The widest subgroup for which the shared tile is compiled. */
const widestShared = 8;

/** Lanes that share a tile on this device, or 0 where none can or plain kernels are wanted. */
export function sharedLanes(device: Device): number {
  const { subgroupSize } = device.profile;
  return !device.plainKernels && subgroupSize >= 4 && subgroupSize <= widestShared ? subgroupSize : 0;
}

/** The extension by which a device has matrix units, or undefined where it has none for halves with f32 sums. */
function matrixSyntax({ gpu, profile }: Device): MatrixTile['syntax'] | undefined {
  if (!profile.matrix || !profile.f16 || !profile.subgroupSize) return undefined;
  const has = (feature: string): boolean => gpu.features.has(feature as GPUFeatureName);
  if (has('subgroup-matrix')) return 'subgroup_matrix';
  return has('chromium-experimental-subgroup-matrix') ? 'chromium_experimental_subgroup_matrix' : undefined;
}

/** Back ends that a device can run, the likely fastest first; matrix units take f16 only. On software adapters barriers cost more than they save. */
export function gemmBackends(device: Device): readonly GemmBackend[] {
  if (device.plainKernels) return ['plain'];
  const shared: GemmBackend[] = sharedLanes(device) ? ['shared'] : [];
  if (device.profile.isCpu) return [...shared, 'plain', 'workgroup'];
  return [...(matrixSyntax(device) ? (['matrix'] as const) : []), 'workgroup', ...shared, 'plain'];
}

/** Plans worth timing for a product on a device, the likely best first. */
export function gemmCandidates(problem: GemmProblem, device: Device): readonly GemmPlan[] {
  const tiles = gemmBackends(device).flatMap((backend) => tilesOf(backend, problem, device));
  const halves = device.profile.f16 && !device.profile.isCpu ? 'f16' : 'packed';
  return tiles.map((tile) => ({ tile, parts: partsFor(problem, tile, device.profile.isCpu), halves }));
}

/** Tiles of a back end for a product, the likely best first. */
function tilesOf(backend: GemmBackend, problem: GemmProblem, device: Device): readonly GemmTile[] {
  if (backend === 'shared') return sharedTiles(sharedLanes(device), problem);
  if (backend === 'workgroup') return workgroupTilesFor(problem, device);
  if (backend === 'matrix') return problem.dtype === 'f16' ? matrixTilesFor(problem, device) : [];
  return [{ backend: 'plain' }];
}

/** Rows and columns of C that one workgroup of a tile computes. */
export function tileSides(tile: GemmTile): { readonly rows: number; readonly columns: number } {
  if (tile.backend === 'plain') return plainTile;
  return { rows: tile.rows, columns: tile.backend === 'shared' ? tile.columns * tile.lanes : tile.columns };
}

/** Length of K that one part sums: whole steps of the tile's loop. */
export function partLength({ K, run }: GemmProblem, { tile, parts }: GemmPlan): number {
  const staged = tile.backend === 'workgroup' || tile.backend === 'matrix';
  const step = staged ? tile.depth : tile.backend === 'shared' && run > 1 ? run : 4;
  return Math.ceil(K / parts / step) * step;
}

/** Output pixels of one part of a weight gradient on a software adapter: what the tiles of a part read stays in the cache. */
const partPixels = 1024;

/** Workgroups that keep an adapter busy, and the least of K that is worth a part: a few cores, or a hundred units. */
const cores = { busy: 16, leastK: 1024 } as const;
const units = { busy: 200, leastK: 256 } as const;
const mostParts = 64;

/** Parts of K: as many as keep the adapter busy where C has few tiles. */
function partsFor({ M, N, K, batch, sourceA }: GemmProblem, tile: GemmTile, isCpu: boolean): number {
  if (isCpu && sourceA === 'weight') return Math.ceil(K / partPixels);
  const { rows, columns } = tileSides(tile);
  const { busy, leastK } = isCpu ? cores : units;
  const groups = Math.ceil(M / rows) * Math.ceil(N / columns) * batch;
  return Math.max(1, Math.min(Math.ceil(busy / groups), Math.floor(K / leastK), mostParts));
}

/** Multiply-adds below which every product takes the same small tile: another one costs more to compile than it saves. */
const smallProduct = 2 ** 26;

/** Time of a tile by the columns that a lane owns, relative to four; measured on lavapipe. */
const tileTimes: readonly number[] = [0.56, 0.83, 0.95, 1];

/** Columns of a lane that cover N in the least time. */
function columnsFor(lanes: number, N: number): number {
  const times = tileTimes.map((time, i) => time * Math.ceil(N / (lanes * (i + 1))));
  return times.lastIndexOf(Math.min(...times)) + 1;
}

/** Shared tiles, the likely best first, then others worth timing. */
function sharedTiles(lanes: number, problem: GemmProblem): readonly GemmTile[] {
  const { M, N } = problem;
  const sides = [
    sharedSides(lanes, problem),
    ...(M > lanes ? [2, 3].map((height) => ({ rows: height * lanes, columns: 4 })) : []),
    ...(M > lanes && N <= 2 * lanes ? [{ rows: 4 * lanes, columns: Math.ceil(N / lanes) }] : []),
  ];
  const distinct = sides.filter(
    ({ rows, columns }, i) => sides.findIndex((other) => other.rows === rows && other.columns === columns) === i,
  );
  return distinct.map(({ rows, columns }) => ({ backend: 'shared', lanes, rows, columns }));
}

/** Rows of a tile in subgroups' lanes, measured: with four lanes registers run out sooner where A is [K, M]. */
function tileHeight(lanes: number, columns: number, sourceA: SourceA): number {
  if (columns < 3) return 4;
  const isTurned = sourceA === 'columns' || sourceA === 'weight';
  return (isTurned && lanes < widestShared ? 6 : 7) - columns;
}

/**
 * Rows of a shared tile, and columns of a lane. Thin A: no more rows than there are; thin B: one or two columns a lane.
 * Narrow tiles are taller, which keeps loads of A and B in balance.
 */
function sharedSides(lanes: number, { M, N, K, batch, sourceA }: GemmProblem): { rows: number; columns: number } {
  if (M <= lanes) return { rows: M <= 2 ? 2 : M <= 4 ? 4 : lanes, columns: 4 };
  if (N <= 2 * lanes) return { rows: 4 * lanes, columns: Math.ceil(N / lanes) };
  if (M * N * K * batch < smallProduct) return { rows: 2 * lanes, columns: 4 };
  const columns = columnsFor(lanes, N);
  const height = tileHeight(lanes, columns, sourceA);
  return { rows: height * lanes, columns };
}

/** Sides of a tile, and of what one invocation or subgroup computes of it. */
type Sides = Pick<WorkgroupTile, 'rows' | 'columns' | 'rowsEach' | 'columnsEach'>;

/** Time of a tile's kernel in arbitrary units: the multiply-adds that run, edges included, and the loads behind them. Too few workgroups leave units idle. */
function stagedCost({ M, N, batch }: GemmProblem, { rows, columns, rowsEach, columnsEach }: Sides): number {
  const groups = Math.ceil(M / rows) * Math.ceil(N / columns) * batch;
  const loads = 1 / rowsEach + 1 / columnsEach + 4 / rows + 4 / columns;
  return Math.max(groups, units.busy) * rows * columns * (1 + loads);
}

const byCost =
  (problem: GemmProblem) =>
  (a: Sides, b: Sides): number =>
    stagedCost(problem, a) - stagedCost(problem, b);

/** True if a workgroup of that many bytes and invocations fits the device. */
function fits({ gpu: { limits } }: Device, bytes: number, threads: number): boolean {
  return bytes <= limits.maxComputeWorkgroupStorageSize && threads <= limits.maxComputeInvocationsPerWorkgroup;
}

const workgroupTiles: readonly WorkgroupTile[] = [
  { rows: 128, columns: 128, depth: 16, rowsEach: 8, columnsEach: 8 },
  { rows: 64, columns: 128, depth: 16, rowsEach: 4, columnsEach: 8 },
  { rows: 64, columns: 64, depth: 32, rowsEach: 4, columnsEach: 4 },
  { rows: 64, columns: 64, depth: 16, rowsEach: 8, columnsEach: 8 },
  { rows: 32, columns: 32, depth: 32, rowsEach: 4, columnsEach: 4 },
  { rows: 8, columns: 128, depth: 32, rowsEach: 4, columnsEach: 4 },
  { rows: 128, columns: 8, depth: 32, rowsEach: 4, columnsEach: 4 },
];

/** Workgroup tiles that the device can hold, by the model's cost; measurements may come to another order. */
function workgroupTilesFor(problem: GemmProblem, device: Device): readonly GemmTile[] {
  return workgroupTiles
    .filter((tile) => fits(device, workgroupBytes(tile), workgroupThreads(tile)))
    .toSorted(byCost(problem))
    .map((tile) => ({ backend: 'workgroup', ...tile }));
}

/** Sides of matrix tiles: multiples of every matrix that adapters list. */
const matrixTiles: readonly (Sides & { readonly depth: number })[] = [
  { rows: 128, columns: 128, depth: 32, rowsEach: 64, columnsEach: 32 },
  { rows: 64, columns: 64, depth: 32, rowsEach: 32, columnsEach: 32 },
  { rows: 32, columns: 64, depth: 32, rowsEach: 16, columnsEach: 32 },
];

/** Matrix tiles that the device can hold, by the model's cost. */
function matrixTilesFor(problem: GemmProblem, device: Device): readonly GemmTile[] {
  const { matrix, subgroupSize } = device.profile;
  const syntax = matrixSyntax(device);
  if (!matrix || !syntax) return [];
  return matrixTiles
    .map((sides) => ({ ...sides, ...matrix, lanes: subgroupSize, syntax }))
    .filter(({ rowsEach, columnsEach, depth, m, n, k }) => !(rowsEach % m || columnsEach % n || depth % k))
    .filter((tile) => fits(device, matrixBytes(tile), matrixThreads(tile)))
    .toSorted(byCost(problem))
    .map((tile) => ({ backend: 'matrix', ...tile }));
}
