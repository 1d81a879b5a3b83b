import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { finishedPictures, pictureAt, type Pictures, type Pipeline, wholeRegion } from '@star-webgpu/sampler';
import { imageSize } from '@star-webgpu/vqvae';
import { boxOf, type Canvas, extended, finishedEdit, readPicture, regionOfMask, resizedCanvas } from '../canvas.ts';
import { cutPrompts } from '../cut-prompts.ts';
import { openSession } from '../device.ts';
import { openModel } from '../model.ts';
import { listOf, wholeNumber } from '../numbers.ts';
import { interruptSignal, printDrawn, say } from '../output.ts';
import { fileStem, writePicture } from '../pictures.ts';
import { type SamplingFlags, samplingOptions, seedsOf, withSamplingFlags } from '../sampling-flags.ts';

type Four = readonly [number, number, number, number];

interface Flags extends SamplingFlags {
  readonly image: string;
  readonly model?: string;
  readonly mask?: string;
  readonly box?: Four;
  readonly outpaint?: Four;
  readonly variation?: number;
  readonly feather?: boolean;
  readonly paste: boolean;
  readonly out: string;
  readonly json?: boolean;
  readonly adapter?: string;
}

/** Adds `star edit`. */
export function addEdit(program: Command): void {
  const command = program
    .command('edit')
    .argument('[prompt]', 'what to draw in the region', '')
    .description('draw a part of a picture anew, or around it')
    .requiredOption('--image <file>', 'the picture')
    .option('--mask <file>', 'what to draw anew: white in a picture of the same size')
    .option('--box <pixels>', 'what to draw anew: left,top,width,height', four)
    .option('--outpaint <pixels>', 'draw around it: pixels more at the left,top,right,bottom', four)
    .option('--variation <scales>', 'keep this many scales from the first and draw the others', wholeNumber(0))
    .option('--model <folder>', 'a trained model; the emoji model that comes along by default');
  withSamplingFlags(command)
    .option('--feather', 'mix old and new tokens at the border')
    .option('--no-paste', 'the model’s picture outside the region too, not the given pixels')
    .option('--out <folder>', 'where the pictures go', 'out')
    .addHelpText(
      'after',
      `
Examples:
  star edit "green leaf" --image apple.png --box 20,0,24,20
  star edit "red apple" --image apple.png --outpaint 32,0,32,0
  star edit "red apple" --image apple.png --variation 3 --count 4`,
    )
    .action(runEdit);
}

/** Reads four whole numbers. @throws InvalidArgumentError, which commander reports with the option's name */
function four(text: string): Four {
  const numbers = listOf(wholeNumber(0))(text);
  if (typeof numbers !== 'number' && numbers.length === 4) return numbers as unknown as Four;
  throw new InvalidArgumentError('It must be four whole numbers with commas between.');
}

async function runEdit(prompt: string, _: unknown, command: Command): Promise<void> {
  const flags = command.optsWithGlobals<Flags>();
  const started = performance.now();
  const canvas = await canvasOf(flags);
  const session = await openSession(flags.adapter);
  say(`adapter: ${session.description}`);
  const pipeline = await openModel(flags.model);
  cutPrompts(pipeline.text, [prompt]).forEach(say);
  const seeds = seedsOf(flags, 1)[0]!;
  const drawn = await drawEdits(pipeline, canvas, { prompt, seeds, flags });
  const files: string[] = [];
  for (const [i, seed] of seeds.entries()) {
    const file = join(flags.out, `${fileStem(prompt)}-edit-${seed}.png`);
    await writePicture(await finishedEdit(pictureAt(drawn, i), canvas, flags), 0, file);
    files.push(file);
  }
  printDrawn({ adapter: session.description, files, pictures: files.length, started }, flags.json);
  pipeline.dispose();
  await session.close();
}

/** The picture, and what of it is to be drawn. @throws Error unless exactly one flag says what */
async function canvasOf({ image, mask, box, outpaint, variation }: Flags): Promise<Canvas> {
  const said = [mask, box, outpaint].filter((flag) => flag !== undefined).length;
  if (said > 1 || (said === 0 && variation === undefined))
    throw new Error(
      'edit: one of --mask, --box and --outpaint, or else --variation, must say what to draw anew. Give one of them.',
    );
  const picture = await readPicture(image);
  if (mask !== undefined) return { picture, region: regionOfMask(await readPicture(mask), picture) };
  if (box) return { picture, region: boxOf({ left: box[0], top: box[1], width: box[2], height: box[3] }, picture) };
  if (!outpaint) return { picture, region: wholeRegion(picture) };
  const [left, top, right, bottom] = outpaint;
  return extended(picture, { left, top, right, bottom });
}

interface Edit {
  readonly prompt: string;
  readonly seeds: readonly number[];
  readonly flags: Flags;
}

/** All results at the model's size, drawn at once. */
async function drawEdits(pipeline: Pipeline, canvas: Canvas, { prompt, seeds, flags }: Edit): Promise<Pictures> {
  const size = imageSize(pipeline.vqvae.config, flags.ratio);
  const { width, height } = canvas.picture;
  if (width !== size.width || height !== size.height)
    say(`the picture of ${width} x ${height} is edited at the model's ${size.width} x ${size.height}`);
  const { picture, region } = await resizedCanvas(canvas, size);
  const options = {
    ...samplingOptions(flags),
    region,
    seed: seeds,
    signal: interruptSignal(),
    ...(flags.feather && { feather: true }),
    ...(flags.variation !== undefined && { keepScales: flags.variation }),
  };
  say(`"${prompt}", ${seeds.length === 1 ? 'seed' : 'seeds'} ${seeds.join(', ')}`);
  return finishedPictures(pipeline, pipeline.edit({ picture, prompts: seeds.map(() => prompt) }, options));
}
