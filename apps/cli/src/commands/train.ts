import { appendFile, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { loadBatches, type PictureSize } from '@star-webgpu/data-lmdb';
import {
  finishedPictures,
  generateFromPrompts,
  type PromptModels,
  type SamplingDefaults,
  parseSamplingDefaults,
  samplingFile,
} from '@star-webgpu/sampler';
import { loadStar, Star, starConfig } from '@star-webgpu/star-transformer';
import { folderFiles } from '@star-webgpu/tensor-webgpu/node';
import { initText, loadTextEncoder, textConfig, TextEncoder, Tokenizer, trainBpe } from '@star-webgpu/text-encoder';
import {
  RefinerStage,
  type Schedule,
  type ScheduleKind,
  type Stage,
  StarStage,
  type StepReport,
  type TokenModel,
  train,
  VqvaeStage,
} from '@star-webgpu/trainer';
import { loadQuantizer, loadVqvae, Vqvae, vqvaeConfig } from '@star-webgpu/vqvae';
import { openSession } from '../device.ts';
import { folderDigest } from '../folder-digest.ts';
import { frozenFolders, tokensOf } from '../frozen-encoders.ts';
import { duration, interruptSignal, Progress, say } from '../output.ts';
import { writeGrid } from '../pictures.ts';
import type { TokenFile } from '../token-file.ts';
import { parseTrainConfig, type RefinerRun, type StarRun, type TrainConfig, type VqvaeRun } from '../train-config.ts';
import { captionsOf, openData, pictureCount, sizesOf, type TrainingData } from '../training-data.ts';

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
  const data = await openData(config);
  const trained = await trainedBy(config, data);
  const { stage, tokens } = trained;
  await mkdir(flags.out, { recursive: true });
  await writeFile(join(flags.out, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  say(`${parameterCount(stage)} parameters, ${pictureCount(data)} pictures${tokens ? ' as tokens' : ''}`);
  const done = await runLoop(trained, { config, flags, data });
  if (done >= config.training.steps) say(`model: ${await writeModel(stage, join(flags.out, 'model'), config)}`);
  else {
    say(`stopped and saved at step ${done}; the same command goes on from there`);
    process.exitCode = 130;
  }
  for (const open of [...data.packs, ...(tokens ? [tokens] : [])]) await open.close();
  await session.close();
}

const parameterCount = (stage: Stage): string =>
  [...stage.parameters().values()].reduce((sum, { size }) => sum + size, 0).toLocaleString('en-US');

/** What is trained, and how it is shown pictures. */
interface Trained {
  readonly stage: Stage;
  /** Sizes that pictures are loaded at, one a ratio. */
  readonly sizes: readonly PictureSize[];
  /** Instead of pictures. */
  readonly tokens?: TokenFile | undefined;
  readonly preview?: Preview;
}

function trainedBy(config: TrainConfig, data: TrainingData): Trained | Promise<Trained> {
  if (config.stage === 'vqvae') return vqvaeStage(config);
  return config.stage === 'refiner' ? refinerStage(config, data) : starStage(config, data);
}

function vqvaeStage(run: VqvaeRun): Trained {
  const { vqvae, loss, seed } = run;
  const config = vqvaeConfig(vqvae);
  const stage = new VqvaeStage(new Vqvae(config, { seed }), { seed, ...loss });
  return { stage, sizes: sizesOf(run, config) };
}

/** Writes pictures of the weights as they are into a folder. */
type Preview = (folder: string, step: number) => Promise<void>;

async function starStage(config: StarRun, data: TrainingData): Promise<Trained> {
  const { seed, star, captionDropout, labelSmoothing } = config;
  const frozen = await frozenModels(config, data);
  const learning = config.text && newText(config.text, { captions: captionsOf(data), seed });
  const text = learning ?? frozen.text;
  const textWidth = text?.width ?? frozen.tokens!.text!.width;
  const { patchNumbers, codeWidth, codebookSize } = frozen.vqvae.config;
  const model = new Star(starConfig({ ...star, patchNumbers, codeWidth, codebookSize, textWidth }), { seed });
  const models = { star: model, vqvae: frozen.vqvae, ...(text && { text }) };
  const options = { seed, captionDropout, labelSmoothing, trainText: learning !== undefined };
  const { tokens, sizes } = frozen;
  return {
    stage: new StarStage(models, { ...options, ...(tokens && { cache: tokens }) }),
    sizes,
    tokens,
    ...(await previewIn(config, { star: model, text, vqvae: frozen.whole })),
  };
}

/** A small text encoder with a vocabulary of the captions. */
function newText(
  { vocabSize, ...sides }: NonNullable<StarRun['text']>,
  { captions, seed }: { readonly captions: readonly string[]; readonly seed: number },
): TextEncoder {
  const tokenizer = new Tokenizer(trainBpe(captions, { vocabSize }));
  const { vocabSize: learnt, endId: eosTokenId } = tokenizer;
  const config = textConfig({ ...sides, vocabSize: learnt, eosTokenId, activation: 'quick_gelu' });
  return new TextEncoder(tokenizer, initText(config, { seed }));
}

/** What does not learn, as far as it is needed: tokens spare the encoders, but previews want them. */
interface Frozen {
  readonly vqvae: TokenModel;
  /** The same, where all of it is there. */
  readonly whole: Vqvae | undefined;
  readonly text: TextEncoder | undefined;
  readonly tokens: TokenFile | undefined;
  readonly sizes: readonly PictureSize[];
}

async function frozenModels(config: StarRun | RefinerRun, data: TrainingData): Promise<Frozen> {
  const folders = frozenFolders(config);
  const quantizing = await loadQuantizer(folderFiles(folders.vqvae));
  const sizes = sizesOf(config, quantizing.config);
  const tokens = await tokensOf(config, data, sizes);
  const whole = tokens && !config.preview ? undefined : await loadVqvae(folderFiles(folders.vqvae));
  if (whole) quantizing.quantizer.dispose();
  const textFolder = tokens?.text && !config.preview ? undefined : folders.text;
  const text = textFolder ? await loadTextEncoder(folderFiles(textFolder)) : undefined;
  return { vqvae: whole ?? quantizing, whole, text, tokens, sizes };
}

/** The refiner of a model that was trained before, which gets one if it has none. */
async function refinerStage(config: RefinerRun, data: TrainingData): Promise<Trained> {
  const { seed, modelFolder, refiner, captionDropout } = config;
  const folder = join(modelFolder, 'star');
  const star = await loadStar(folderFiles(folder), { addRefiner: refiner, seed });
  const { depth, sampleFrom } = star.refiner!.config;
  if (depth !== refiner.depth || sampleFrom !== refiner.sampleFrom)
    throw new Error(
      `refiner must be what the model of ${modelFolder} has, ${JSON.stringify({ depth, sampleFrom })}, got ${JSON.stringify(refiner)}. Correct the config, or begin with a model that has none.`,
    );
  const { vqvae, whole, text, tokens, sizes } = await frozenModels(config, data);
  const options = { seed, captionDropout, modelId: await folderDigest(folder), ...(tokens && { cache: tokens }) };
  return {
    stage: new RefinerStage({ star, vqvae, ...(text && { text }) }, options),
    sizes,
    tokens,
    ...(await previewIn(config, { star, text, vqvae: whole })),
  };
}

/** Previews, where a config wants them: all models are there then. */
async function previewIn(
  config: StarRun | RefinerRun,
  {
    star,
    text,
    vqvae,
  }: { readonly star: Star; readonly text: TextEncoder | undefined; readonly vqvae: Vqvae | undefined },
): Promise<{ preview?: Preview }> {
  const { preview } = config;
  if (!preview || !text || !vqvae) return {};
  return { preview: previewOf({ star, text, vqvae }, { ...preview, sampling: await samplingOf(config) }) };
}

type PreviewOptions = NonNullable<StarRun['preview']> & { readonly sampling: SamplingDefaults | undefined };

const previewOf =
  (models: PromptModels, { every, prompts, sampling }: PreviewOptions): Preview =>
  async (folder, step) => {
    if (step % every !== 0) return;
    const pictures = await finishedPictures(models, generateFromPrompts(models, prompts, { ...sampling, seed: 1 }));
    await writeGrid([pictures], { columns: prompts.length }, join(folder, `step-${String(step).padStart(8, '0')}.png`));
  };

interface Loop {
  readonly config: TrainConfig;
  readonly flags: Flags;
  readonly data: TrainingData;
}

function runLoop({ stage, sizes, tokens, preview }: Trained, { config, flags, data }: Loop): Promise<number> {
  const { training, seed } = config;
  const progress = new Progress();
  const log = join(flags.out, 'log.jsonl');
  return train({
    stage,
    batches: (start) =>
      loadBatches({
        ...data,
        batch: training.batch,
        size: sizes,
        group: training.accumulate,
        seed,
        start,
        decode: !tokens,
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

/** Writes the finished model in half precision; a transformer takes along what it was trained beside, so that the folder can be sampled from. */
async function writeModel(stage: Stage, folder: string, config: TrainConfig): Promise<string> {
  const files = await stage.files('F16');
  if (config.stage !== 'vqvae') {
    const sampling = await samplingOf(config);
    if (sampling) files.set(...samplingFile(sampling));
    const { vqvae, text } = frozenFolders(config);
    for (const name of ['config.json', 'model.safetensors'])
      files.set(`vqvae/${name}`, await readFile(join(vqvae, name)));
    if (text) await cp(text, join(folder, 'text'), { recursive: true, dereference: true });
  }
  for (const [path, bytes] of files) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, bytes);
  }
  return folder;
}

/** What the finished model is best drawn with: by the config, or as the model that it was made of. */
async function samplingOf(config: StarRun | RefinerRun): Promise<SamplingDefaults | undefined> {
  if (config.sampling || config.stage === 'star') return config.sampling as SamplingDefaults | undefined;
  const text = await readFile(join(config.modelFolder, 'sampling.json'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : parseSamplingDefaults(text);
}
