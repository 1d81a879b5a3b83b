import { mkdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { createPack, loadEvaluation, type PackWriter } from '@star-webgpu/data-lmdb';
import { folderFiles } from '@star-webgpu/tensor-webgpu/node';
import { loadTextEncoder, type TextEncoder } from '@star-webgpu/text-encoder';
import { captionFeatures, pictureTokens, type TrainingBatch } from '@star-webgpu/trainer';
import { loadVqvae } from '@star-webgpu/vqvae';
import { openSession } from '../device.ts';
import { drawnCaptions, frozenDigests, frozenFolders } from '../train/frozen.ts';
import { countdown, duration, interruptSignal, print, say } from '../output.ts';
import { putAbout, putCaption, putTokens } from '../train/token-file.ts';
import { parseTrainConfig, type TokenRun } from '../train/config/parse.ts';
import { closeData, openData, pictureCount, sizesOf, type TrainingData, withHeldOut } from '../train/data.ts';

interface Flags {
  readonly config: string;
  readonly set: string[];
  readonly out: string;
  readonly text: boolean;
  readonly json?: boolean;
  readonly adapter?: string;
}

/** Adds `star tokenize`. */
export function addTokenize(program: Command): void {
  program
    .command('tokenize')
    .description(
      'make the tokens of all pictures and the features of all captions once, so that training needs neither encoder',
    )
    .requiredOption('--config <file>', 'the config of the training, of stage star or refiner')
    .requiredOption(
      '--out <file>',
      'the file of tokens, for example data/mine.tokens.lmdb; name it as data.tokens then',
    )
    .option('--set <path=value...>', 'override a value of the config', [])
    .option('--no-text', 'pictures only: features of captions are large')
    .addHelpText(
      'after',
      '\nExample:\n  star tokenize --config configs/mine.json --out data/mine.tokens.lmdb\n  star train star --config configs/mine.json --set data.tokens=data/mine.tokens.lmdb --out runs/mine',
    )
    .action(runTokenize);
}

async function runTokenize(_: unknown, command: Command): Promise<void> {
  const flags = command.optsWithGlobals<Flags>();
  const config = parseTrainConfig(flags.config, await readFile(flags.config, 'utf8'), flags.set);
  if (config.stage === 'vqvae')
    throw new Error(`${flags.config} must be a config of stage star or refiner, got vqvae. Name the other file.`);
  const session = await openSession(flags.adapter);
  say(`adapter: ${session.description}`);
  const started = performance.now();
  const data = await openData(config);
  await mkdir(dirname(flags.out), { recursive: true });
  const writer = await createPack(flags.out);
  try {
    const made = await tokenize(writer, { config, data, withText: flags.text, signal: interruptSignal() });
    await writer.commit();
    const report = { path: flags.out, ...made, bytes: (await stat(flags.out)).size };
    print(flags.json ? JSON.stringify(report) : reportLine(report));
    say(`in ${duration((performance.now() - started) / 1000)}`);
  } catch (fault) {
    await writer.abort();
    throw fault;
  }
  await closeData(data);
  await session.close();
}

const reportLine = ({
  path,
  pictures,
  captions,
  bytes,
}: Readonly<Record<'path', string> & Record<'pictures' | 'captions' | 'bytes', number>>): string =>
  `${path}: tokens of ${pictures} pictures, features of ${captions} captions, ${(bytes / 1e6).toFixed(1)} MB`;

interface Work {
  readonly config: TokenRun;
  readonly data: TrainingData;
  readonly withText: boolean;
  readonly signal: AbortSignal;
}

/** Fills a file of tokens. */
async function tokenize(writer: PackWriter, work: Work): Promise<{ pictures: number; captions: number }> {
  const { config, data, withText } = work;
  const { vqvae, text: textFolder } = frozenFolders(config);
  const folders = { vqvae, ...(withText && textFolder && { text: textFolder }) };
  const digests = await frozenDigests(folders);
  const pictures = await tokenizePictures(writer, vqvae, work);
  const text = folders.text ? await loadTextEncoder(folderFiles(folders.text)) : undefined;
  const captions = text ? await encodeCaptions(writer, text, work) : 0;
  putAbout(writer, {
    format: 'star-webgpu-tokens',
    version: 1,
    vqvae: digests.vqvae,
    ...(text && { text: { digest: digests.text!, tokens: text.model.config.positions, width: text.width } }),
    packs: withHeldOut(data).packs.map(({ name, size }) => ({ name, pictures: size })),
  });
  text?.dispose();
  return { pictures, captions };
}

/** Batches are as large as those of the training, the last ones filled up: the same shapes give the same sums, bit for bit. */
async function tokenizePictures(writer: PackWriter, folder: string, work: Work): Promise<number> {
  const { config, data, signal } = work;
  const vqvae = (await loadVqvae(folderFiles(folder))).freeze();
  const all = withHeldOut(data);
  const total = pictureCount(all);
  const progress = countdown(total, (done) => `${done} of ${total} pictures`);
  const known = new Set<string>();
  const { batch } = config.training;
  for await (const loaded of loadEvaluation({ ...all, batch, size: sizesOf(config, vqvae.config) })) {
    signal.throwIfAborted();
    const [, , height, width] = loaded.shape;
    const tokens = await pictureTokens(vqvae, filledUp(loaded, batch));
    loaded.keys.forEach((key, b) => {
      if (known.has(key)) throw new Error(`data.packs must have each key once, got ${key} in two of them. Rename one.`);
      known.add(key);
      putTokens(writer, key, { indices: tokens[b]!, size: { height, width }, codes: vqvae.config.codebookSize });
    });
    progress(known.size);
  }
  vqvae.dispose();
  return known.size;
}

/** The first picture again and again where there are fewer than a batch has. */
function filledUp(
  { images, shape }: Pick<TrainingBatch, 'images' | 'shape'>,
  batch: number,
): Pick<TrainingBatch, 'images' | 'shape'> {
  const [count, channels, height, width] = shape;
  const picture = channels * height * width;
  const filled = new Float32Array(batch * picture);
  filled.set(images);
  for (let b = count; b < batch; b++) filled.copyWithin(b * picture, 0, picture);
  return { images: filled, shape: [batch, channels, height, width] };
}

async function encodeCaptions(writer: PackWriter, text: TextEncoder, { config, data, signal }: Work): Promise<number> {
  const captions = [...drawnCaptions(config, data)];
  const progress = countdown(captions.length, (done) => `${done} of ${captions.length} captions`);
  const { batch } = config.training;
  for (let at = 0; at < captions.length; at += batch) {
    signal.throwIfAborted();
    const some = captions.slice(at, at + batch);
    const features = await captionFeatures(text, [...some, ...new Array<string>(batch - some.length).fill('')]);
    some.forEach((caption, b) => putCaption(writer, caption, features[b]!));
    progress(at + some.length);
  }
  return captions.length;
}
