import type { Device } from '../device/device.ts';
import { gemmCandidates, type GemmProblem, type GemmTile } from '../ops/gemm-plan.ts';
import { problemKey, tileKey } from './keys.ts';

/** Goes up when the generator's kernels or plans change, so that times measured before are forgotten. */
const generatorVersion = 2;

/** Goes up when the file's layout changes. */
const formatVersion = 1;

/** A product that was measured, and the tile that won; null where that is the built-in choice. */
export interface TuningEntry {
  readonly problem: GemmProblem;
  readonly tile: GemmTile | null;
}

/** What was measured on one adapter; products that are missing keep the built-in choice. */
export interface TuningTable {
  /** `adapterKey` of the device that measured. */
  readonly adapter: string;
  readonly entries: readonly TuningEntry[];
}

/** A table of a file, or why it is not used. */
export type TuningFound = { readonly table: TuningTable } | { readonly reason: string };

/** Tables that come with the package. None yet: nobody has measured a GPU, and on lavapipe no other tile won by a clear margin (November 2026). */
const seedTables: readonly TuningTable[] = [];

/** What times depend on: the adapter with its driver, the features that kernels use, and the generator. */
export function adapterKey({ profile, plainKernels }: Device): string {
  const { vendor, architecture, device, description, f16, subgroupSize, matrix } = profile;
  const units = matrix ? `${matrix.m}x${matrix.n}x${matrix.k}` : 'none';
  const features = `f16 ${f16}, subgroups ${subgroupSize}, matrices ${units}, plain ${plainKernels}`;
  return [vendor, architecture, device, description, features, `generator ${generatorVersion}`].join('|');
}

/** The table that comes with the package for a device, if there is one. */
export function seedTuning(device: Device): TuningTable | undefined {
  return seedTables.find(({ adapter }) => adapter === adapterKey(device));
}

/** JSON of a table: it replaces the same products in the former text of the file, and leaves other products and adapters there. */
export function tuningJson(table: TuningTable, former = ''): string {
  const tables = tablesOf(former) ?? [];
  const others = tables.filter(({ adapter }) => adapter !== table.adapter);
  const before = tables.find(({ adapter }) => adapter === table.adapter)?.entries ?? [];
  const merged = { ...table, entries: mergeEntries(before, table.entries) };
  return `${JSON.stringify({ version: formatVersion, tables: [...others, merged] }, null, 1)}\n`;
}

/** One entry for each key, the later one. */
function mergeEntries(before: readonly TuningEntry[], after: readonly TuningEntry[]): TuningEntry[] {
  return [...new Map([...before, ...after].map((entry) => [problemKey(entry.problem), entry])).values()];
}

/** Reads a device's table out of a file's text. Never throws: whatever is wrong comes back as the reason. */
export function parseTuning(text: string, device: Device): TuningFound {
  const tables = tablesOf(text);
  if (!tables) return { reason: `it is no tuning table of version ${formatVersion}` };
  const table = tables.find(({ adapter }) => adapter === adapterKey(device));
  if (!table) return { reason: `it has no table for ${adapterKey(device)}` };
  const odd = table.entries.find((entry) => !canRun(entry, device));
  return odd ? { reason: `the adapter cannot run its tile for ${problemKey(odd.problem)}` } : { table };
}

/** Tables of a text of this version, or undefined where anything about it is not as written. */
function tablesOf(text: string): readonly TuningTable[] | undefined {
  const file = parsed(text);
  if (!isRecord(file) || file['version'] !== formatVersion || !Array.isArray(file['tables'])) return undefined;
  const tables: readonly unknown[] = file['tables'];
  return tables.every(isTable) ? tables : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isTable = (value: unknown): value is TuningTable =>
  isRecord(value) &&
  typeof value['adapter'] === 'string' &&
  Array.isArray(value['entries']) &&
  value['entries'].every(isEntry);

const isEntry = (value: unknown): value is TuningEntry =>
  isRecord(value) && isProblem(value['problem']) && (value['tile'] === null || isRecord(value['tile']));

const sourcesA: readonly unknown[] = ['rows', 'columns', 'forward', 'corner', 'input', 'weight'];
const sourcesB: readonly unknown[] = ['rows', 'columns'];

const isProblem = (value: unknown): value is GemmProblem =>
  isRecord(value) &&
  ['M', 'N', 'K', 'batch', 'run'].every((name) => Number.isSafeInteger(value[name]) && Number(value[name]) > 0) &&
  sourcesA.includes(value['sourceA']) &&
  sourcesB.includes(value['sourceB']) &&
  (value['dtype'] === 'f32' || value['dtype'] === 'f16');

/** True if the tile is one that the device would be offered for the product. */
const canRun = ({ problem, tile }: TuningEntry, device: Device): boolean =>
  tile === null || gemmCandidates(problem, device).some((plan) => tileKey(plan.tile) === tileKey(tile));
