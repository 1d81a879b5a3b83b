import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { loadBatches, openPack, type Pack, type PictureSize } from '@star-webgpu/data-lmdb';
import { generateFromPrompts, type PromptModels, type SamplingDefaults, samplingFile } from '@star-webgpu/sampler';
import { loadStar, Star, starConfig } from '@star-webgpu/star-transformer';
import { initText, loadTextEncoder, textConfig, TextEncoder, Tokenizer, trainBpe } from '@star-webgpu/text-encoder';
import {
  RefinerStage,
  type Schedule,
  type ScheduleKind,
  type Stage,
  StarStage,
  type StepReport,
  train,
  VqvaeStage,
} from '@star-webgpu/trainer';
import { imageSide, imageSize, loadVqvae, Vqvae, type VqvaeConfig, vqvaeConfig } from '@star-webgpu/vqvae';
import { openSession } from '../device.ts';
import { duration, interruptSignal, Progress, say } from '../output.ts';
import { writeGrid } from '../pictures.ts';
import { parseTrainConfig, type RefinerRun, type StarRun, type TrainConfig, type VqvaeRun } from '../train-config.ts';

interface Flags {
  readonly config: string;
  readonly set: string[];
  readonly out: string;
  readonly adapter?: string;
}

/** Adds `star train`. */
export function addTrain(program: Command): void {
  program
    .command('train')
    .argument('<stage>', 'vqvae, star or refiner')
    .description('train a model; the same command again goes on where it stopped')
    .requiredOption('--config <file>', 'a training config, see configs/')
    .requiredOption('--out <folder>', 'folder of the run: checkpoints, log, finished model')
    .option('--set <path=value...>', 'override a value of the config', [])
    .addHelpText(
      'after',
      '\nExample:\n  star train vqvae --config configs/emoji-vqvae.json --out runs/vqvae --set training.steps=500',
    )
    .action(runTrain);
}

async function runTrain(stageName: string, _: unknown, command: Command): Promise<void> {
  const flags = command.optsWithGlobals<Flags>();
  const config = parseTrainConfig(flags.config, await readFile(flags.config, 'utf8'), flags.set);
  if (config.stage !== stageName)
    throw new Error(
      `${flags.config} must be a config of stage ${stageName}, got ${config.stage}. Name the other stage or file.`,
    );
  const session = await openSession(flags.adapter);
  say(`adapter: ${session.description}`);
  const packs = await Promise.all(config.data.packs.map((path) => openPack(path)));
  const keys = config.data.keysFile
    ? (await readFile(config.data.keysFile, 'utf8')).split('\n').filter(Boolean)
    : undefined;
  const { stage, pictures, preview } =
    config.stage === 'vqvae'
      ? vqvaeStage(config)
      : config.stage === 'refiner'
        ? await refinerStage(config)
        : await starStage(config, captionsOf(packs, keys));
  const sizes = sizesOf(config, pictures);
  await mkdir(flags.out, { recursive: true });
  await writeFile(join(flags.out, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  say(
    `${parameterCount(stage)} parameters, ${keys?.length ?? packs.reduce((sum, { size }) => sum + size, 0)} pictures`,
  );
  const done = await runLoop(stage, {
    config,
    flags,
    packs,
    sizes,
    ...(keys && { keys }),
    ...(preview && { preview }),
  });
  if (done >= config.training.steps) say(`model: ${await writeModel(stage, join(flags.out, 'model'), config)}`);
  else {
    say(`stopped and saved at step ${done}; the same command goes on from there`);
    process.exitCode = 130;
  }
  for (const pack of packs) pack.close();
  await session.close();
}

const parameterCount = (stage: Stage): string =>
  [...stage.parameters().values()].reduce((sum, { size }) => sum + size, 0).toLocaleString('en-US');

/** Sizes that pictures are loaded at, one a ratio. */
function sizesOf({ data }: TrainConfig, vqvae: VqvaeConfig): PictureSize[] {
  const side = imageSide(vqvae);
  if (data.size !== side)
    throw new Error(
      `data.size must be ${side}, the last patch number times the VQVAE's downsampling, got ${data.size}. Correct data.size, or vqvae.patchNumbers.`,
    );
  return data.ratios.map((ratio) => imageSize(vqvae, ratio));
}

/** What is trained, and the VQVAE whose pictures it is shown. */
interface Trained {
  readonly stage: Stage;
  readonly pictures: VqvaeConfig;
  readonly preview?: Preview;
}

function vqvaeStage({ vqvae, loss, seed }: VqvaeRun): Trained {
  const config = vqvaeConfig(vqvae);
  return { stage: new VqvaeStage(new Vqvae(config, { seed }), { seed, ...loss }), pictures: config };
}

/** Writes pictures of the weights as they are into a folder. */
type Preview = (folder: string, step: number) => Promise<void>;

async function starStage(config: StarRun, captions: readonly string[]): Promise<Trained> {
  const { seed, text, star, vqvaeFolder, captionDropout, labelSmoothing } = config;
  const vqvae = await loadVqvae((name) => readFile(join(vqvaeFolder, name)));
  const tokenizer = new Tokenizer(trainBpe(captions, { vocabSize: text.vocabSize }));
  const textModel = initText(
    textConfig({ ...text, vocabSize: tokenizer.vocabSize, eosTokenId: tokenizer.endId, activation: 'quick_gelu' }),
    { seed },
  );
  const { patchNumbers, codeWidth, codebookSize } = vqvae.config;
  const model = new Star(starConfig({ ...star, patchNumbers, codeWidth, codebookSize, textWidth: text.width }), {
    seed,
  });
  const models = { star: model, text: new TextEncoder(tokenizer, textModel), vqvae };
  const stage = new StarStage(models, { seed, captionDropout, labelSmoothing, trainText: true });
  const sampling = config.sampling as SamplingDefaults | undefined;
  return {
    stage,
    pictures: vqvae.config,
    ...(config.preview && { preview: previewOf(models, { ...config.preview, sampling }) }),
  };
}

/** The refiner of a model that was trained before, which gets one if it has none. */
async function refinerStage(config: RefinerRun): Promise<Trained> {
  const { seed, modelFolder, refiner, captionDropout, preview } = config;
  const read =
    (part: string): ((name: string) => Promise<Uint8Array>) =>
    (name) =>
      readFile(join(modelFolder, part, name));
  const star = await loadStar(read('star'), { addRefiner: refiner, seed });
  const { depth, sampleFrom } = star.refiner!.config;
  if (depth !== refiner.depth || sampleFrom !== refiner.sampleFrom)
    throw new Error(
      `refiner must be what the model of ${modelFolder} has, ${JSON.stringify({ depth, sampleFrom })}, got ${JSON.stringify(refiner)}. Correct the config, or begin with a model that has none.`,
    );
  const models = { star, text: await loadTextEncoder(read('text')), vqvae: await loadVqvae(read('vqvae')) };
  const modelId = await folderDigest(join(modelFolder, 'star'));
  return {
    stage: new RefinerStage(models, { seed, captionDropout, modelId }),
    pictures: models.vqvae.config,
    ...(preview && { preview: previewOf(models, { ...preview, sampling: config.sampling as SamplingDefaults }) }),
  };
}

/** One digest of all files of a folder, which may be large. */
async function folderDigest(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of (await readdir(folder)).toSorted())
    for await (const bytes of createReadStream(join(folder, name))) hash.update(bytes as Uint8Array);
  return hash.digest('hex');
}

type PreviewOptions = NonNullable<StarRun['preview']> & { readonly sampling: SamplingDefaults | undefined };

const previewOf =
  (models: PromptModels, { every, prompts, sampling }: PreviewOptions): Preview =>
  async (folder, step) => {
    if (step % every !== 0) return;
    const last = models.star.config.patchNumbers.length - 1;
    for await (const { scale, decode } of generateFromPrompts(models, prompts, {
      ...sampling,
      seed: 1,
    }))
      if (scale === last)
        await writeGrid(
          [await decode()],
          { columns: prompts.length },
          join(folder, `step-${String(step).padStart(8, '0')}.png`),
        );
  };

/** All captions of the chosen pictures, for the tokenizer. */
function captionsOf(packs: readonly Pack[], keys: readonly string[] | undefined): string[] {
  const chosen = keys && new Set(keys);
  return packs.flatMap((pack) =>
    [...pack.keys()]
      .filter((key) => !chosen || chosen.has(key))
      .flatMap((key) => [...(pack.record(key)?.captions ?? [])]),
  );
}

interface Loop {
  readonly config: TrainConfig;
  readonly flags: Flags;
  readonly packs: readonly Pack[];
  readonly sizes: readonly PictureSize[];
  readonly keys?: readonly string[];
  readonly preview?: Preview;
}

function runLoop(stage: Stage, { config, flags, packs, sizes, keys, preview }: Loop): Promise<number> {
  const { training, seed } = config;
  const progress = new Progress();
  const log = join(flags.out, 'log.jsonl');
  return train({
    stage,
    batches: (start) =>
      loadBatches({
        packs,
        batch: training.batch,
        size: sizes,
        group: training.accumulate,
        seed,
        start,
        ...(keys && { keys }),
        caption: config.stage === 'vqvae' ? 'first' : config.captions,
      }),
    schedule: scheduleOf(config),
    seed,
    clipNorm: training.clipNorm,
    accumulate: training.accumulate,
    precision: training.precision,
    folder: join(flags.out, 'checkpoints'),
    saveEvery: training.saveEvery,
    keep: training.keepCheckpoints,
    onStep: async (report) => {
      progress.show(progressLine(report), report.step === report.steps);
      await appendFile(log, `${JSON.stringify(report)}\n`);
      await preview?.(join(flags.out, 'previews'), report.step);
    },
    onNotice: say,
    signal: interruptSignal(),
  }).finally(() => progress.end());
}

function scheduleOf({ training }: TrainConfig): Schedule {
  const { schedule, learningRate, warmupSteps, finalRate, steps, weightDecay } = training;
  return {
    kind: schedule as ScheduleKind,
    peak: learningRate,
    warmup: warmupSteps,
    start: 0.005,
    end: finalRate,
    steps,
    weightDecay,
    weightDecayEnd: weightDecay,
  };
}

function progressLine({ step, steps, loss, metrics, imagesPerSecond, eta }: StepReport): string {
  const measured = Object.entries(metrics).map(([name, value]) => `${name} ${value.toFixed(4)}`);
  return `step ${step}/${steps}  loss ${loss.toFixed(4)}  ${measured.join('  ')}  ${imagesPerSecond.toFixed(1)} images/s  ${duration(eta)} left`;
}

/** Writes the finished model in half precision; a transformer takes its VQVAE along, so that the folder can be sampled from. */
async function writeModel(stage: Stage, folder: string, config: TrainConfig): Promise<string> {
  const files = await stage.files('F16');
  if (config.stage !== 'vqvae') {
    const vqvaeFolder = config.stage === 'star' ? config.vqvaeFolder : join(config.modelFolder, 'vqvae');
    for (const name of ['config.json', 'model.safetensors'])
      files.set(`vqvae/${name}`, await readFile(join(vqvaeFolder, name)));
    const sampling = await samplingOf(config);
    if (sampling) files.set(...sampling);
  }
  for (const [path, bytes] of files) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, bytes);
  }
  return folder;
}

/** What the finished model is best drawn with: by the config, or as the model that it was made of. */
async function samplingOf(config: StarRun | RefinerRun): Promise<readonly [string, Uint8Array] | undefined> {
  if (config.sampling) return samplingFile(config.sampling as SamplingDefaults);
  if (config.stage === 'star') return undefined;
  const bytes = await readFile(join(config.modelFolder, 'sampling.json')).catch(() => undefined);
  return bytes && ['sampling.json', bytes];
}
