import { once } from 'node:events';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startRanks } from '@star-webgpu/tensor-webgpu/testing';
import { openSession } from '../../src/device.ts';
import { hostTimeOf, type HostTime, type Network, stepTime, stretched } from './simulate.ts';
import { measureStep, type MeasuredStep } from './timeline.ts';

const usage = `npm run bench:ranks -- [--latency US] [--bandwidth GB/S] [--rate TFLOPS] [--pictures LIST] [--rounds N]

Simulates a training step on 8 to 512 ranks, from what is measured here: when each bucket of gradients of a small STAR is ready, and what a
rank's processor and memory take to exchange and add up its share among that many. Wants an MPI with mpirun.
  --latency US      microseconds of a message's way (5)
  --bandwidth GB/S  10^9 bytes a second that a rank sends, and as many that it receives (12.5)
  --rate TFLOPS     rate at which an adapter is taken to compute the step (10)
  --pictures LIST   pictures of a rank's step by that adapter (2,16,64,256)
  --rounds N        steps of which the fastest counts (9)`;

const rankCounts = [8, 16, 32, 64, 128, 256, 512];
/** Bytes of the sums that are measured. */
const sizes = [4096, 2 ** 16, 2 ** 20, 2 ** 23, 2 ** 24];
/** Sums of which the fastest counts. */
const sumRounds = 50;

interface Arguments {
  readonly network: Network;
  /** Floating-point operations a millisecond. */
  readonly rate: number;
  /** Of one rank. */
  readonly pictures: readonly number[];
  readonly rounds: number;
}

/** Reads the command line. @throws Error saying what is wrong */
function readArguments(): Arguments | undefined {
  const { values } = parseArgs({
    options: {
      latency: { type: 'string', default: '5' },
      bandwidth: { type: 'string', default: '12.5' },
      rate: { type: 'string', default: '10' },
      pictures: { type: 'string', default: '2,16,64,256' },
      rounds: { type: 'string', default: '9' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const positive = (name: string, text: string): number => {
    if (Number(text) > 0) return Number(text);
    throw new Error(`bench:ranks: --${name} must be a number above 0, got ${text}. Correct it.`);
  };
  const latency = positive('latency', values.latency) / 1e3;
  const bandwidth = positive('bandwidth', values.bandwidth) * 1e6;
  const rate = 1e9 * positive('rate', values.rate);
  const pictures = values.pictures.split(',').map((text) => positive('pictures', text));
  return { network: { latency, bandwidth }, rate, pictures, rounds: Math.ceil(positive('rounds', values.rounds)) };
}

/** What a rank's own processor and memory take, for each count of ranks: two processes here do the work of one of that many. */
async function measureHost(): Promise<HostTime[]> {
  const script = fileURLToPath(new URL('../../../../packages/trainer/bench/rank-sums.main.js', import.meta.url));
  const node = [process.execPath, '--conditions=@star-webgpu/source', '--import', import.meta.resolve('tsx')];
  const child = startRanks(2, [...node, script, JSON.stringify({ counts: rankCounts, sizes, rounds: sumRounds })]);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  child.stderr.pipe(process.stderr);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`bench:ranks: mpirun must end with 0, got ${code}. See what it says above.`);
  return (JSON.parse(text) as number[][]).map((times) => hostTimeOf(sizes, times));
}

const milliseconds = (time: number): string => (time >= 100 ? time.toFixed(0) : time.toPrecision(3));

/** A row a count of ranks: milliseconds of a step, and the share of them that one rank alone would take. */
function tableOf(step: MeasuredStep, hosts: readonly HostTime[], { network, rate, pictures }: Arguments): string {
  const aPicture = step.flops / step.pictures / rate;
  const columns = [
    { name: `here, ${step.pictures} pictures`, timeline: step },
    ...pictures.map((count) => ({
      name: `${rate / 1e9} TFLOPS, ${count} pictures`,
      timeline: stretched(step, (count * aPicture) / step.end),
    })),
  ];
  const rows = rankCounts.map((count, i) => {
    const cells = columns.map(({ timeline }) => {
      const time = stepTime(timeline, count, network, hosts[i]!);
      return `${milliseconds(time)} ms, ${((100 * timeline.end) / time).toFixed(0)}%`;
    });
    return [`${count}`, ...cells];
  });
  const head = ['ranks', ...columns.map(({ name }) => name)];
  const alone = ['1', ...columns.map(({ timeline }) => `${milliseconds(timeline.end)} ms`)];
  return [head, head.map(() => '---'), alone, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** What the table stands on. */
function assumptionsOf(step: MeasuredStep, adapter: string, { network, rounds }: Arguments): string {
  const bytes = step.buckets.reduce((sum, bucket) => sum + bucket.bytes, 0);
  const ready = step.buckets.map((bucket) => `${milliseconds(bucket.ready)} ms`).join(', ');
  return `A simulation. Measured here:
- computing: ${step.name}, on ${adapter}: ${milliseconds(step.end)} ms, the fastest of ${rounds} steps, ${(step.flops / step.end / 1e6).toFixed(0)} GFLOPS; ${(bytes / 1e6).toFixed(1)} MB of gradients leave in ${step.buckets.length} buckets, on the host after ${ready}
- exchanging and adding: two processes that each do what one of so many ranks does, on ${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'}), the fastest of ${sumRounds} sums
Assumed:
- network: ${1e3 * network.latency} us a message, ${network.bandwidth / 1e6} GB/s a rank each way, at any number of ranks; its time is added to that of the host
- columns after the first: all parts of the step take as much longer or less long as its products at that rate; hosts as fast as here; all ranks in step`;
}

async function main(given: Arguments): Promise<void> {
  const session = await openSession();
  const step = await measureStep(given.rounds);
  await session.close();
  const hosts = await measureHost();
  console.log(`${assumptionsOf(step, session.description, given)}\n\n${tableOf(step, hosts, given)}`);
}

try {
  const given = readArguments();
  if (given) await main(given);
  else console.log(usage);
  process.exit(0);
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
