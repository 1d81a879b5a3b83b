import { join } from 'node:path';
import { type Command, Option } from 'commander';
import type { Pictures, Pipeline, Prompt, PromptOptions } from '@star-webgpu/sampler';
import type { StarPreset } from '@star-webgpu/star-transformer';
import type { Precision } from '@star-webgpu/tensor-webgpu';
import { cutPrompts } from '../cut-prompts.ts';
import { openSession } from '../device.ts';
import { openModel } from '../model.ts';
import { wholeNumber } from '../numbers.ts';
import { interruptSignal, printDrawn, say } from '../output.ts';
import { mapsOfStep, type WordMap } from '../heat-maps.ts';
import { fileStem, writeGrid, writePicture } from '../pictures.ts';
import { openPreset, presetNames, reportPreset } from '../preset.ts';
import { promptBatches } from '../prompt-batches.ts';
import { promptLines, type SamplingFlags, samplingOptions, seedsOf, withSamplingFlags } from '../sampling-flags.ts';
import { type WatchFlags, watchOptions, withWatchFlags, writeWatched } from '../watch-flags.ts';

interface Flags extends SamplingFlags, WatchFlags {
  readonly model?: string;
  readonly preset?: StarPreset;
  readonly init?: 'random';
  readonly precision: Precision;
  readonly dryRun?: boolean;
  readonly prompts?: string;
  readonly between?: string;
  readonly steps: number;
  readonly batch: number;
  readonly out: string;
  readonly grid?: boolean;
  readonly strip?: boolean;
  readonly previews?: boolean;
  readonly json?: boolean;
  readonly adapter?: string;
}

/** One picture to draw, and the name of its file. */
interface Order {
  readonly prompt: Prompt;
  readonly seed: number;
  readonly name: string;
}

/** Adds `star sample`. */
export function addSample(program: Command): void {
  const command = program
    .command('sample')
    .argument('[prompt]', 'what to draw; an empty one draws anything', '')
    .description('draw pictures from words')
    .option('--model <folder>', 'a trained model; the emoji model that comes along by default')
    .addOption(
      new Option('--preset <name>', 'a published size instead of a model, with --init random')
        .choices(presetNames)
        .conflicts('model'),
    )
    .addOption(
      new Option('--init <how>', 'weights of a preset: random ones from the seed, for its time and memory').choices([
        'random',
      ]),
    )
    .option('--dry-run', 'print what a picture of the preset takes on the adapter, without running it')
    .addOption(
      new Option('--precision <type>', 'f16 halves the memory of weights, keys and values')
        .choices(['f32', 'f16'])
        .default('f32'),
    )
    .option('--prompts <file>', 'one prompt a line instead of the prompt')
    .option('--between <prompt>', 'pictures on the way from the prompt to this one, with one seed')
    .option('--steps <number>', 'pictures on that way', wholeNumber(2), 5);
  withWatchFlags(withSamplingFlags(command))
    .option('--batch <number>', 'pictures that are drawn at once', wholeNumber(1), 1)
    .option('--out <folder>', 'where the pictures go', 'out')
    .option('--grid', 'one file with all pictures')
    .option('--strip', 'also a file with every scale of each picture')
    .option('--previews', 'also a file for each scale, written as soon as it is drawn')
    .addHelpText(
      'after',
      `
Examples:
  star sample "red apple"
  star sample --prompts prompts.txt --count 4 --grid --out pictures
  star sample "red apple" --between lemon --steps 6 --grid
  star sample "red apple" --attention apple
  star sample --preset star-256-d16 --init random --precision f16 --dry-run`,
    )
    .action(runSample);
}

async function runSample(prompt: string, _: unknown, command: Command): Promise<void> {
  const flags = command.optsWithGlobals<Flags>();
  const started = performance.now();
  const { preset, dryRun = false, precision, ratio } = flags;
  checkPreset(flags);
  const orders = await ordersOf(prompt, flags);
  const session = await openSession(flags.adapter);
  say(`adapter: ${session.description}`);
  if (preset && dryRun) {
    reportPreset(preset, { precision, ratio }, flags.json ?? false);
    return session.close();
  }
  const pipeline = preset
    ? openPreset(preset, { precision, ratio, seed: orders[0]!.seed })
    : await openModel(flags.model, { precision });
  cutPrompts(pipeline.text, orders.flatMap(wordsOf)).forEach(say);
  const options = { ...samplingOptions(flags), ...watchOptions(flags), signal: interruptSignal() };
  const files: string[] = [];
  const finished: Pictures[] = [];
  for (const batch of promptBatches(pipeline, orders, flags.batch)) {
    const drawn = await drawBatch(pipeline, batch, { options, flags });
    finished.push(drawn.finished);
    files.push(...drawn.files);
  }
  if (flags.grid) {
    const file = join(flags.out, 'grid.png');
    const columns = flags.between === undefined ? Math.ceil(Math.sqrt(orders.length)) : flags.steps;
    await writeGrid(finished, { columns }, file);
    files.push(file);
  }
  printDrawn({ adapter: session.description, files, pictures: orders.length, started }, flags.json);
  pipeline.dispose();
  await session.close();
}

/** A preset has no weights of its own, and only a preset is planned. */
function checkPreset({ preset, init, dryRun }: Flags): void {
  if (preset && !init)
    throw new Error(
      `sample: --preset ${preset} must come with --init random, got no weights. Use --model for a trained model.`,
    );
  if (!preset && (init || dryRun))
    throw new Error(
      `sample: ${init ? '--init' : '--dry-run'} must come with --preset, got none. Name a published size.`,
    );
}

/** Every picture that was asked for. */
async function ordersOf(prompt: string, flags: Flags): Promise<Order[]> {
  if (flags.between !== undefined) return ordersBetween(prompt, flags.between, flags);
  const prompts = flags.prompts ? await promptLines(flags.prompts) : [prompt];
  const seeds = seedsOf(flags, prompts.length);
  return prompts.flatMap((one, i) =>
    seeds[i]!.map((seed) => ({ prompt: one, seed, name: `${fileStem(one)}-${seed}` })),
  );
}

/** The way from one prompt to another, once for each seed. */
function ordersBetween(from: string, to: string, flags: Flags): Order[] {
  const stem = `${fileStem(from)}-to-${fileStem(to)}`;
  return seedsOf(flags, 1)[0]!.flatMap((seed) =>
    Array.from({ length: flags.steps }, (_, step) => ({
      prompt: { from, to, share: step / (flags.steps - 1) },
      seed,
      name: `${stem}-${seed}-${step}`,
    })),
  );
}

interface Drawing {
  readonly options: PromptOptions;
  readonly flags: Flags;
}

/** Draws some pictures at once, with a line a scale, and writes what was asked for. */
async function drawBatch(
  pipeline: Pipeline,
  orders: readonly Order[],
  { options, flags }: Drawing,
): Promise<{ readonly finished: Pictures; readonly files: readonly string[] }> {
  const { patchNumbers } = pipeline.star.config;
  const files: string[] = [];
  const write = async (name: string, writing: (file: string) => Promise<void>): Promise<void> => {
    const file = join(flags.out, `${name}.png`);
    await writing(file);
    files.push(file);
  };
  const scales: Pictures[] = [];
  const maps: WordMap[][][] = [];
  for (const { prompt, seed } of orders) say(`${described(prompt)}, seed ${seed}`);
  let before = performance.now();
  const asked = { ...options, seed: orders.map(({ seed }) => seed) };
  for await (const step of pipeline.generate(
    orders.map(({ prompt }) => prompt),
    asked,
  )) {
    const { scale, map, decode } = step;
    const last = scale === patchNumbers.length - 1;
    if (last || flags.strip || flags.previews) scales.push(await decode());
    if (flags.attention) maps.push(await mapsOfStep(step));
    const now = performance.now();
    const seconds = ((now - before) / 1000).toFixed(2);
    say(`  scale ${scale + 1} of ${patchNumbers.length}: ${map.width} x ${map.height} tokens, ${seconds} s`);
    before = now;
    if (flags.previews)
      for (const [b, { name }] of orders.entries())
        await write(`${name}-scale-${scale + 1}`, (file) => writePicture(scales.at(-1)!, b, file));
  }
  const finished = scales.at(-1)!;
  for (const [b, { name }] of orders.entries()) {
    if (!flags.grid) await write(name, (file) => writePicture(finished, b, file));
    if (flags.attention) {
      const watched = { pictures: finished, index: b, words: flags.attention, maps: maps.map((scale) => scale[b]!) };
      files.push(...(await writeWatched(watched, join(flags.out, name))));
    }
    if (flags.strip)
      await write(`${name}-scales`, (file) => writeGrid(scales, { columns: scales.length, only: b }, file));
  }
  return { finished, files };
}

/** Texts that a picture is drawn from. */
const wordsOf = ({ prompt }: Order): string[] => (typeof prompt === 'string' ? [prompt] : [prompt.from, prompt.to]);

const described = (prompt: Prompt): string =>
  typeof prompt === 'string'
    ? `"${prompt}"`
    : `${Math.round(100 * (1 - prompt.share))}% "${prompt.from}", ${Math.round(100 * prompt.share)}% "${prompt.to}"`;
