import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import type { Pictures, Pipeline, SamplingOptions } from '@star-webgpu/sampler';
import { type Ratio, ratios } from '@star-webgpu/vqvae';
import { cutPrompts } from '../cut-prompts.ts';
import { openSession } from '../device.ts';
import { openModel } from '../model.ts';
import { numberIn, wholeNumber } from '../numbers.ts';
import { interruptSignal, print, say } from '../output.ts';
import { writeGrid, writePicture } from '../pictures.ts';

interface Flags {
  readonly model?: string;
  readonly prompts?: string;
  readonly count: number;
  readonly seed: number;
  readonly cfg?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly smooth?: boolean;
  readonly ratio?: Ratio;
  readonly out: string;
  readonly grid?: boolean;
  readonly strip?: boolean;
  readonly json?: boolean;
  readonly adapter?: string;
}

/** Adds `star sample`. */
export function addSample(program: Command): void {
  program
    .command('sample')
    .argument('[prompt]', 'what to draw; an empty one draws anything', '')
    .description('draw pictures from words')
    .option('--model <folder>', 'a trained model; the emoji model that comes along by default')
    .option('--prompts <file>', 'one prompt a line instead of the prompt')
    .option('--count <number>', 'pictures a prompt', wholeNumber(1), 1)
    .option('--seed <number>', 'seed of the first picture; it counts up', wholeNumber(0), 42)
    .option('--cfg <strength>', 'guidance at the last scale; the model’s own by default, else 4', numberIn(0, 100))
    .option('--top-k <number>', 'tokens kept for each draw, 0 for all; the model’s own, else 600', wholeNumber(0))
    .option('--top-p <share>', 'share of the probability kept, 0 for all; the model’s own, else 0.8', numberIn(0, 1))
    .option('--smooth', 'mix codes instead of drawing one')
    .addOption(new Option('--ratio <width:height>', 'width to height; square by default').choices(ratios))
    .option('--out <folder>', 'where the pictures go', 'out')
    .option('--grid', 'one file with all pictures')
    .option('--strip', 'also a file with every scale of each picture')
    .addHelpText(
      'after',
      '\nExamples:\n  star sample "red apple"\n  star sample --prompts prompts.txt --count 4 --grid --out pictures',
    )
    .action(runSample);
}

async function runSample(prompt: string, _: unknown, command: Command): Promise<void> {
  const flags = command.optsWithGlobals<Flags>();
  const started = performance.now();
  const prompts = await promptsOf(prompt, flags);
  const session = await openSession(flags.adapter);
  say(`adapter: ${session.description}`);
  const pipeline = await openModel(flags.model);
  cutPrompts(pipeline.text, prompts).forEach(say);
  const signal = interruptSignal();
  const files: string[] = [];
  const finished: Pictures[] = [];
  for (const [i, one] of prompts.entries()) {
    const scales = await drawOne(pipeline, one, { ...optionsOf(flags, i), signal }, flags.strip ?? false);
    const picture = scales.at(-1)!;
    finished.push(picture);
    const file = join(flags.out, `${nameOf(one)}-${flags.seed + i}.png`);
    if (!flags.grid) files.push(await written(file, () => writePicture(picture, 0, file)));
    if (flags.strip)
      files.push(
        await written(file.replace(/\.png$/, '-scales.png'), () =>
          writeGrid(scales, scales.length, file.replace(/\.png$/, '-scales.png')),
        ),
      );
  }
  if (flags.grid)
    files.push(
      await written(join(flags.out, 'grid.png'), () =>
        writeGrid(finished, Math.ceil(Math.sqrt(finished.length)), join(flags.out, 'grid.png')),
      ),
    );
  const seconds = (performance.now() - started) / 1000;
  print(flags.json ? JSON.stringify({ adapter: session.description, seconds, files }) : files.join('\n'));
  say(`${finished.length} ${finished.length === 1 ? 'picture' : 'pictures'} in ${seconds.toFixed(1)} s`);
  pipeline.dispose();
  await session.close();
}

/** Each prompt as often as it is to be drawn. */
async function promptsOf(prompt: string, { prompts, count }: Flags): Promise<string[]> {
  const lines = prompts ? (await readFile(prompts, 'utf8')).split('\n').filter(Boolean) : [prompt];
  return lines.flatMap((line) => new Array<string>(count).fill(line));
}

/** Only what was asked for: the model's own defaults hold for the rest. */
const optionsOf = ({ seed, cfg, topK, topP, smooth, ratio }: Flags, index: number): SamplingOptions => ({
  seed: seed + index,
  ...(cfg !== undefined && { guidance: cfg }),
  ...(topK !== undefined && { topK }),
  ...(topP !== undefined && { topP }),
  ...(smooth !== undefined && { smooth }),
  ...(ratio !== undefined && { ratio }),
});

/** Draws one picture with a line a scale; gives the last scale's picture, and with `all` every scale's. */
async function drawOne(
  pipeline: Pipeline,
  prompt: string,
  options: SamplingOptions,
  all: boolean,
): Promise<Pictures[]> {
  const { patchNumbers } = pipeline.star.config;
  const pictures: Pictures[] = [];
  say(`"${prompt}", seed ${String(options.seed)}`);
  let before = performance.now();
  for await (const step of pipeline.generate([prompt], options)) {
    const last = step.scale === patchNumbers.length - 1;
    if (all || last) pictures.push(await step.decode());
    const now = performance.now();
    say(
      `  scale ${step.scale + 1} of ${patchNumbers.length}: ${step.map.width} x ${step.map.height} tokens, ${((now - before) / 1000).toFixed(2)} s`,
    );
    before = now;
  }
  return pictures;
}

/** A file name from a prompt: letters and digits of any script. */
function nameOf(prompt: string): string {
  const words = prompt.toLowerCase().match(/[\p{Letter}\p{Number}]+/gu) ?? [];
  return words.join('-').slice(0, 60) || 'picture';
}

async function written(file: string, write: () => Promise<void>): Promise<string> {
  await write();
  return file;
}
