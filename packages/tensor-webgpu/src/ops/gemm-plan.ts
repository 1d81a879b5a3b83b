import type { Device } from '../device/device.ts';
import type { DType } from '../dtype.ts';
import { type WorkgroupTile, workgroupBytes, workgroupThreads } from '../kernels/gemm/workgroup.ts';
import { plainTile } from '../kernels/gemm/plain.ts';
import type { SharedTile } from '../kernels/gemm/shared.ts';
import type { SourceA, SourceB } from '../kernels/gemm/spec.ts';

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
  | { readonly backend: 'plain' };

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

/** The widest subgroup for which the shared tile is compiled. */
const widestShared = 8;

/** Lanes that share a tile on this device, or 0 where none can or plain kernels are wanted. */
export function sharedLanes(device: Device): number {
  const { subgroupSize } = device.profile;
  return !device.plainKernels && subgroupSize >= 4 && subgroupSize <= widestShared ? subgroupSize : 0;
}

/** Rows and columns of C that one workgroup of a tile computes. */
export function tileSides(tile: GemmTile): { readonly rows: number; readonly columns: number } {
  if (tile.backend === 'plain') return plainTile;
  return { rows: tile.rows, columns: tile.backend === 'shared' ? tile.columns * tile.lanes : tile.columns };
}

/** Length of K that one part sums: whole steps of the tile's loop. */
export function partLength({ K, run }: GemmProblem, { tile, parts }: GemmPlan): number {
  const step = tile.backend === 'shared' && run > 1 ? run : stepOf(tile);
  return Math.ceil(K / parts / step) * step;
}

/** K of one step of a tile's loop. */
const stepOf = (tile: GemmTile): number => (tile.backend === 'workgroup' ? tile.depth : 4);

/** The plan of a product on a device: an override's, or the profile's first candidate. */
export function gemmPlan(problem: GemmProblem, device: Device): GemmPlan {
  return override?.(problem, device) ?? gemmCandidates(problem, device)[0]!;
}

export type GemmBackend = GemmTile['backend'];

/** Back ends that a device can run, the likely fastest first. */
export function gemmBackends(device: Device): readonly GemmBackend[] {
  if (device.plainKernels) return ['plain'];
  return [...(sharedLanes(device) ? (['shared'] as const) : []), 'workgroup', 'plain'];
}

/** Plans worth timing for a product on a device, the likely best first. */
export function gemmCandidates(problem: GemmProblem, device: Device): readonly GemmPlan[] {
  const tiles = gemmBackends(device).flatMap((backend) => tilesOf(backend, problem, device));
  return tiles.map((tile) => ({ tile, parts: partsFor(problem, tile), halves: 'packed' }));
}

/** Tiles of a back end for a product, the likely best first. */
function tilesOf(backend: GemmBackend, problem: GemmProblem, device: Device): readonly GemmTile[] {
  if (backend === 'shared') return [sharedTile(sharedLanes(device), problem)];
  if (backend === 'workgroup') return workgroupTilesFor(problem, device);
  return [{ backend: 'plain' }];
}

/** Workgroup tiles from large to small: rows x columns x depth, then values of an invocation. */
const workgroupTiles: readonly WorkgroupTile[] = [
  { rows: 128, columns: 128, depth: 16, rowsEach: 8, columnsEach: 8 },
  { rows: 64, columns: 128, depth: 16, rowsEach: 4, columnsEach: 8 },
  { rows: 64, columns: 64, depth: 32, rowsEach: 4, columnsEach: 4 },
  { rows: 64, columns: 64, depth: 16, rowsEach: 8, columnsEach: 8 },
  { rows: 32, columns: 32, depth: 32, rowsEach: 4, columnsEach: 4 },
  { rows: 8, columns: 128, depth: 32, rowsEach: 4, columnsEach: 4 },
  { rows: 128, columns: 8, depth: 32, rowsEach: 4, columnsEach: 4 },
];

/** Workgroups that keep a GPU busy: two on each of about a hundred units. */
const busyWorkgroups = 200;

/** Tiles that the device can hold, the one first that wastes least at the edges and still gives every unit work. */
function workgroupTilesFor({ M, N, batch }: GemmProblem, device: Device): readonly GemmTile[] {
  const { maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup } = device.gpu.limits;
  const cost = ({ rows, columns, rowsEach, columnsEach }: WorkgroupTile): number => {
    const groups = Math.ceil(M / rows) * Math.ceil(N / columns) * batch;
    const loads = 1 / rowsEach + 1 / columnsEach + 4 / rows + 4 / columns;
    return Math.max(groups, busyWorkgroups) * rows * columns * (1 + loads);
  };
  return workgroupTiles
    .filter((tile) => workgroupBytes(tile) <= maxComputeWorkgroupStorageSize)
    .filter((tile) => workgroupThreads(tile) <= maxComputeInvocationsPerWorkgroup)
    .toSorted((a, b) => cost(a) - cost(b))
    .map((tile) => ({ backend: 'workgroup', ...tile }));
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

/** Shared tiles: narrow ones are taller, which keeps loads of A and B in balance; with A [K, M] registers run out sooner. */
function sharedTile(lanes: number, { M, N, K, batch, sourceA }: GemmProblem): GemmTile {
  const backend = 'shared';
  if (M * N * K * batch < smallProduct) return { backend, lanes, rows: 2 * lanes, columns: 4 };
  const columns = columnsFor(lanes, N);
  const across = sourceA === 'columns' || sourceA === 'weight';
  const height = columns < 3 ? 4 : across ? 6 - columns : 7 - columns;
  return { backend, lanes, rows: height * lanes, columns };
}

/** Output pixels of one part of a weight gradient: what the tiles of a part read stays in the cache. */
const partPixels = 1024;

function partsFor({ K, sourceA }: GemmProblem, _tile: GemmTile): number {
  return sourceA === 'weight' ? Math.ceil(K / partPixels) : 1;
}
