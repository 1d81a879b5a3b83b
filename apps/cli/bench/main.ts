import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  cpuPeak,
  loadPeers,
  reportOf,
  type RowResult,
  runRow,
  type RunOptions,
  tensorRows,
} from '../../../packages/tensor-webgpu/bench/index.ts';
import { createDevice, setDevice } from '@star-webgpu/tensor-webgpu';
import { openGpu, throttledWait } from '@star-webgpu/tensor-webgpu/node';
import { runStarRow, starRows } from './star.ts';

const usage = `npm run bench -- [part of a row's name]... [--rounds N] [--json FILE] [--profile]

Times tensor-webgpu beside jax-js, tfjs and onnxruntime-node, row by row, in interleaved rounds.
  --rounds N   rounds of each contender (9); one slower than a second gets fewer
  --json FILE  writes all numbers to a file
  --profile    also prints where our own runs spend the adapter's time`;

interface NamedRow {
  readonly name: string;
  /** True if peers take part. */
  readonly peers: boolean;
  readonly run: (options: RunOptions) => Promise<RowResult>;
}

/** Every row, by name: those of tensors, then those of the models. */
const rows: readonly NamedRow[] = [
  ...tensorRows.map((row) => ({ name: row.name, peers: true, run: (options: RunOptions) => runRow(row, options) })),
  ...starRows.map((row) => ({ name: row.name, peers: false, run: (options: RunOptions) => runStarRow(row, options) })),
];

interface Arguments {
  readonly rounds: number;
  readonly json: string | undefined;
  readonly profile: boolean;
  readonly filters: readonly string[];
}

/** Reads the command line. @throws Error saying what is wrong */
function readArguments(): Arguments | undefined {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '9' },
      json: { type: 'string' },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`bench: --rounds must be a whole number from 1, got ${values.rounds}.`);
  return { rounds, json: values.json, profile: values.profile, filters: positionals };
}

/** Rows whose name holds one of the filters; all without filters. @throws Error naming the rows if none does */
function chosenRows(filters: readonly string[]): readonly NamedRow[] {
  const chosen = rows.filter(({ name }) => !filters.length || filters.some((filter) => name.includes(filter)));
  if (chosen.length) return chosen;
  throw new Error(
    `bench: a row must hold "${filters.join('" or "')}" in its name, got none. Rows: ${rows.map(({ name }) => name).join('; ')}.`,
  );
}

async function bench({ rounds, json, profile, filters }: Arguments): Promise<void> {
  const chosen = chosenRows(filters);
  const { gflops, threads } = await cpuPeak();
  const opened = await openGpu();
  const device = await createDevice(opened.adapter, { wait: throttledWait });
  setDevice(device);
  console.log(`adapter: ${opened.description}`);
  console.log(
    `CPU: ${gflops.toFixed(1)} GFLOPS, multiplications and additions of 128-bit WebAssembly SIMD on ${threads} threads (native code with 256-bit vectors can do twice as much)`,
  );
  console.log(`${rounds} interleaved rounds; WebGPU peers but onnxruntime share our adapter, switches and waiting\n`);
  const options = { rounds, profile, peers: chosen.some(({ peers }) => peers) ? await loadPeers(opened.gpu) : [] };
  const results: RowResult[] = [];
  for (const { run } of chosen) {
    const result = await run(options);
    results.push(result);
    console.log(reportOf(result));
  }
  const after = (await cpuPeak()).gflops;
  const busy = Math.min(gflops, after) < 0.8 * Math.max(gflops, after);
  const remark = busy ? '; the machine was busy with something else, so do not trust these times' : '';
  console.log(`CPU after all rows: ${after.toFixed(1)} GFLOPS${remark}`);
  if (json)
    writeFileSync(json, JSON.stringify({ adapter: opened.description, cpu: [gflops, after], rounds, rows: results }));
}

try {
  const given = readArguments();
  if (given) await bench(given);
  else console.log(usage);
  process.exit(0);
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
