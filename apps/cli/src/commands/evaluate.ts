import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { openPack, type Pack, toSquare } from '@star-webgpu/data-lmdb';
import { markdownTable, measureReconstruction, type NamedPicture, type Picture, retrieval } from '@star-webgpu/metrics';
import { pictureAt, type Pipeline, toPictures } from '@star-webgpu/sampler';
import { noGrad, scope, tensor } from '@star-webgpu/tensor-webgpu';
import { openSession } from '../device.ts';
import { openModel } from '../model.ts';
import { wholeNumber } from '../numbers.ts';
import { print, Progress, say } from '../output.ts';

interface Flags {
  readonly model?: string;
  readonly pack: string;
  readonly keysFile?: string;
  readonly take: number;
  readonly seed: number;
  readonly json?: boolean;
  readonly adapter?: string;
}

/** Adds `star evaluate`. */
export function addEvaluate(program: Command): void {
  program
    .command('evaluate')
    .description('measure a model on pictures it was trained on: reconstruction and retrieval')
    .requiredOption('--pack <file>', 'the pack of pictures')
    .option('--keys-file <file>', 'only these keys, one a line')
    .option('--model <folder>', 'a trained model; the emoji model that comes along by default')
    .option('--take <number>', 'at most so many pictures', wholeNumber(1), 200)
    .option('--seed <number>', 'seed of every sample', wholeNumber(0), 1)
    .addHelpText('after', '\nExample:\n  star evaluate --pack data/emoji.lmdb --keys-file recipes/tiny/keys.txt')
    .action(runEvaluate);
}

async function runEvaluate(_: unknown, command: Command): Promise<void> {
  const flags = command.optsWithGlobals<Flags>();
  const session = await openSession(flags.adapter);
  const pipeline = await openModel(flags.model);
  const pack = await openPack(flags.pack);
  const listed = flags.keysFile
    ? (await readFile(flags.keysFile, 'utf8')).split('\n').filter(Boolean)
    : [...pack.keys()];
  const keys = listed.slice(0, flags.take);
  const { patchNumbers, channelMultipliers } = pipeline.vqvae.config;
  const side = patchNumbers.at(-1)! * 2 ** (channelMultipliers.length - 1);
  const originals = await readPictures(pack, keys, side);
  const reconstruction = await measureReconstruction(reconstructions(pipeline, originals));
  const samples = await drawAll(pipeline, pack, keys, flags.seed);
  const found = await retrieval({ samples, gallery: originals });
  const report = {
    adapter: session.description,
    pictures: keys.length,
    seed: flags.seed,
    psnr: reconstruction.psnr,
    ssim: reconstruction.ssim,
    top1: found.top1,
    top5: found.top5,
  };
  print(flags.json ? JSON.stringify(report) : markdownTable([report]));
  for (const { key, nearest } of found.ranks.filter(({ rank }) => rank > 1))
    say(`"${captionOf(pack, key)}" came out nearest to "${captionOf(pack, nearest)}"`);
  pipeline.dispose();
  pack.close();
  await session.close();
}

const captionOf = (pack: Pack, key: string): string => pack.record(key)?.captions[0] ?? key;

async function readPictures(pack: Pack, keys: readonly string[], side: number): Promise<NamedPicture[]> {
  return Promise.all(
    keys.map(async (key) => ({
      key,
      picture: { width: side, height: side, data: await toSquare(pack.get(key)!.image, side) },
    })),
  );
}

/** Each picture beside what the VQVAE makes of it. */
async function* reconstructions(
  { vqvae }: Pipeline,
  originals: readonly NamedPicture[],
): AsyncGenerator<readonly [Picture, Picture]> {
  for (const { picture } of originals) {
    const { width, height, data } = picture;
    const planes = Float32Array.from(
      { length: data.length },
      (_, i) => data[(i % (width * height)) * 3 + Math.floor(i / (width * height))]! / 127.5 - 1,
    );
    const images_BHW3 = scope(() => noGrad(() => vqvae.reconstruct(tensor(planes, [1, 3, height, width]))));
    const made = await toPictures(images_BHW3);
    images_BHW3.dispose();
    yield [picture, pictureAt(made, 0)];
  }
}

/** One sample for each picture's first caption. */
async function drawAll(pipeline: Pipeline, pack: Pack, keys: readonly string[], seed: number): Promise<NamedPicture[]> {
  const progress = new Progress();
  const samples: NamedPicture[] = [];
  for (const key of keys) {
    samples.push({ key, picture: pictureAt(await pipeline.pictures([captionOf(pack, key)], { seed }), 0) });
    progress.show(`drawn ${samples.length} of ${keys.length}`, samples.length === keys.length);
  }
  progress.end();
  return samples;
}
