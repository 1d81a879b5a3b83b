import { createHash } from 'node:crypto';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { createPack, loadEvaluation, type PackWriter, type PictureSize } from '@star-webgpu/data-lmdb';
import { folderFiles } from '@star-webgpu/tensor-webgpu/node';
import { loadTextEncoder, type TextEncoder } from '@star-webgpu/text-encoder';
import { captionFeatures, pictureTokens, type TrainingBatch } from '@star-webgpu/trainer';
import { loadVqvae, type Vqvae } from '@star-webgpu/vqvae';
import { openSession } from '../device.ts';
import { drawnCaptions, frozenDigests, frozenFolders } from '../train/frozen.ts';
import { countdown, duration, interruptSignal, print, say } from '../output.ts';
import {
  hasCaption,
  hasTokens,
  packsAbout,
  putAbout,
  putCaption,
  putTokens,
  type TokensAbout,
} from '../train/token-file.ts';
import { parseTrainConfig, type TokenRun } from '../train/config/parse.ts';
import { closeData, openData, type PictureSet, sizesOf, type TrainingData, withHeldOut } from '../train/data.ts';

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
  const plan = await planOf(config, data, flags.text);
  const writer = await createPack(flags.out, { job: jobOf(plan) });
  try {
    const made = await tokenize(writer, plan, interruptSignal());
    await writer.commit();
    const report = { path: flags.out, ...made, bytes: (await stat(flags.out)).size };
    print(flags.json ? JSON.stringify(report) : reportLine(report));
    say(`in ${duration((performance.now() - started) / 1000)}`);
  } catch (fault) {
    await writer.suspend();
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

/** Keys of a batch, and the size that its pictures are loaded at. */
interface PlannedBatch {
  readonly keys: readonly string[];
  readonly size: PictureSize;
}

/** All that decides what a file of tokens will hold. */
interface Plan {
  /** All pictures of the training, held-out ones too. */
  readonly all: PictureSet;
  readonly packs: TokensAbout['packs'];
  readonly vqvae: Vqvae;
  /** Batches are as large as those of the training, the last ones filled up: the same shapes give the same sums, bit for bit. */
  readonly batch: number;
  /** Sizes that pictures are loaded at, one a ratio. */
  readonly sizes: readonly PictureSize[];
  readonly batches: readonly PlannedBatch[];
  readonly captions: readonly string[];
  readonly digests: Awaited<ReturnType<typeof frozenDigests>>;
  /** Folder of the text encoder, where captions are encoded. */
  readonly textFolder: string | undefined;
}

async function planOf(config: TokenRun, data: TrainingData, withText: boolean): Promise<Plan> {
  const folders = frozenFolders(config);
  const textFolder = withText ? folders.text : undefined;
  const digests = await frozenDigests({ vqvae: folders.vqvae, ...(textFolder && { text: textFolder }) });
  const vqvae = (await loadVqvae(folderFiles(folders.vqvae))).freeze();
  const { batch } = config.training;
  const sizes = sizesOf(config, vqvae.config);
  const all = withHeldOut(data);
  const batches: PlannedBatch[] = [];
  for await (const { keys, shape } of loadEvaluation({ ...all, batch, size: sizes, decode: false }))
    batches.push({ keys, size: { height: shape[2], width: shape[3] } });
  checkKeys(batches.flatMap(({ keys }) => keys));
  const captions = textFolder ? [...drawnCaptions(config, data)] : [];
  return { all, packs: packsAbout(all.packs), vqvae, batch, sizes, batches, captions, digests, textFolder };
}

function checkKeys(keys: readonly string[]): void {
  const known = new Set<string>();
  for (const key of keys) {
    if (known.has(key)) throw new Error(`data.packs must have each key once, got ${key} in two of them. Rename one.`);
    known.add(key);
  }
}

/** Tells what is being made from anything else: an interrupted run of the same goes on. */
const jobOf = ({ packs, batch, batches, captions, digests }: Plan): string =>
  createHash('sha256').update(JSON.stringify({ batch, batches, captions, digests, packs })).digest('hex');

/** Fills a file of tokens. */
async function tokenize(
  writer: PackWriter,
  plan: Plan,
  signal: AbortSignal,
): Promise<{ pictures: number; captions: number }> {
  const pictures = await tokenizePictures(writer, plan, signal);
  const { textFolder, digests, captions, packs } = plan;
  const text = textFolder ? await loadTextEncoder(folderFiles(textFolder)) : undefined;
  if (text) await encodeCaptions(writer, { text, plan, signal });
  putAbout(writer, {
    format: 'star-webgpu-tokens',
    version: 1,
    vqvae: digests.vqvae,
    ...(text && { text: { digest: digests.text!, tokens: text.model.config.positions, width: text.width } }),
    packs,
  });
  text?.dispose();
  return { pictures, captions: captions.length };
}

async function tokenizePictures(writer: PackWriter, plan: Plan, signal: AbortSignal): Promise<number> {
  const { all, vqvae, batch, sizes, batches } = plan;
  const count = (some: readonly PlannedBatch[]): number => some.reduce((sum, { keys }) => sum + keys.length, 0);
  const open = batches.findIndex(({ keys, size }) => !keys.every((key) => hasTokens(writer, key, size)));
  const skip = open < 0 ? batches.length : open;
  const [total, before] = [count(batches), count(batches.slice(0, skip))];
  if (before > 0) say(`going on behind ${before} of ${total} pictures`);
  const progress = countdown(total - before, (done) => `${before + done} of ${total} pictures`);
  let done = 0;
  for await (const loaded of loadEvaluation({ ...all, batch, size: sizes, skip })) {
    signal.throwIfAborted();
    const [, , height, width] = loaded.shape;
    const tokens = await pictureTokens(vqvae, filledUp(loaded, batch));
    loaded.keys.forEach((key, b) =>
      putTokens(writer, key, { indices: tokens[b]!, size: { height, width }, codes: vqvae.config.codebookSize }),
    );
    progress((done += loaded.keys.length));
  }
  vqvae.dispose();
  return total;
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

interface Encoding {
  readonly text: TextEncoder;
  readonly plan: Plan;
  readonly signal: AbortSignal;
}

async function encodeCaptions(writer: PackWriter, { text, plan, signal }: Encoding): Promise<void> {
  const { captions, batch } = plan;
  const progress = countdown(captions.length, (done) => `${done} of ${captions.length} captions`);
  for (let at = 0; at < captions.length; at += batch) {
    signal.throwIfAborted();
    const some = captions.slice(at, at + batch);
    if (some.every((caption) => hasCaption(writer, caption))) continue;
    const features = await captionFeatures(text, [...some, ...new Array<string>(batch - some.length).fill('')]);
    some.forEach((caption, b) => putCaption(writer, caption, features[b]!));
    progress(at + some.length);
  }
}
