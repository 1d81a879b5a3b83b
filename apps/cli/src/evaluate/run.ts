import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type CategoryReport,
  cosineSimilarity,
  type InceptionMetric,
  type MeasuredSet,
  measureInception,
  type MetricRow,
  type PromptSuite,
  type RetrievalReport,
  type Statistics,
  statisticsOf,
  writeStatistics,
} from '@star-webgpu/metrics';
import { type Pipeline, type PromptOptions, resolveOptions } from '@star-webgpu/sampler';
import { samplingOptions } from '../sampling-flags.ts';
import { writeWhole } from '../write-whole.ts';
import type { Context } from './context.ts';
import { type Drawn, drawSuite } from './draw.ts';
import { clipImageSet, type FeatureWork, inceptionSet, type InceptionSet } from './features.ts';
import { digestOf } from './identity.ts';
import {
  codebookRows,
  lpipsRows,
  namedPairs,
  type Pairs,
  reconstructionPairs,
  reconstructionRows,
  retrievalRows,
} from './pairs.ts';
import type { EvaluateFlags, MetricName } from './plan.ts';
import { isStatistics, type PictureSource } from './sources.ts';

/** What one set of samples was found to be. */
export interface RunResult {
  readonly guidance: number | undefined;
  /** Undefined where only statistics were given. */
  readonly samples: PictureSource | undefined;
  readonly rows: readonly MetricRow[];
  readonly categories: readonly CategoryReport[];
  readonly retrieval: RetrievalReport | undefined;
  /** Drawing one picture, in the mean. */
  readonly secondsEach: number | undefined;
}

/** Measures each guidance that was asked for, or the samples that were given. */
export async function runAll(context: Context): Promise<RunResult[]> {
  const guidances = context.flags.cfgSweep ?? [undefined];
  const results: RunResult[] = [];
  for (const guidance of guidances) {
    const folder = guidances.length > 1 ? join(context.work, `cfg-${guidance}`) : context.work;
    const result = await runOne(context, { guidance, folder });
    // What does not depend on the guidance is measured once.
    const pairs = results.length ? [] : await measurePairs(context, result.samples);
    results.push({ ...result, rows: [...result.rows, ...pairs] });
  }
  await saveStatistics(context);
  return results;
}

interface RunPlace {
  readonly guidance: number | undefined;
  readonly folder: string;
}

async function runOne(context: Context, { guidance, folder }: RunPlace): Promise<RunResult> {
  const given = context.samples;
  const drawn = given ? undefined : await draw(context, { guidance, folder });
  const samples = drawn?.source ?? (given && !isStatistics(given) ? given : undefined);
  const statistics = given && isStatistics(given) ? given.statistics : undefined;
  const measured = await measureFeatures(context, { samples, statistics, folder });
  const found = context.plan.metrics.has('retrieval') && samples ? await retrieved(context, samples) : undefined;
  return {
    guidance,
    samples,
    rows: [...measured.rows, ...(found?.rows ?? [])],
    categories: measured.categories,
    retrieval: found?.found,
    secondsEach: drawn?.secondsEach,
  };
}

/** Of an evaluation's folder: the drawn pictures. */
const picturesFolder = 'pictures';

/** How pictures of one guidance are drawn. */
export const samplingOf = (flags: EvaluateFlags, guidance: number | undefined): PromptOptions => ({
  ...samplingOptions(flags),
  ...(guidance !== undefined && { guidance }),
});

/** Every option that a picture depends on besides its seed, defaults filled in. */
export function resolvedOptions({ star, defaults }: Pipeline, given: PromptOptions): Record<string, unknown> {
  const { seeds: _, signal: __, ...options } = resolveOptions({ ...defaults, ...given }, 1, star.config);
  return { ...options, ...(given.negativePrompt !== undefined && { negativePrompt: given.negativePrompt }) };
}

async function draw(context: Context, { guidance, folder }: RunPlace): Promise<Drawn> {
  const { flags, pipeline, signal } = context;
  const suite = context.suite!;
  const seeds = seedsOfPrompt(flags, suite);
  const sampling = samplingOf(flags, guidance);
  const run = {
    model: pipeline!.identity,
    prompts: digestOf(JSON.stringify(suite.prompts.map(({ key, prompt }) => [key, prompt]))),
    seeds,
    sampling: resolvedOptions(pipeline!.model, sampling),
  };
  await claim(folder, run);
  const options = {
    folder: join(folder, picturesFolder),
    identity: digestOf(JSON.stringify(run)),
    seeds,
    batch: flags.batch,
    sampling,
    signal,
  };
  return drawSuite(pipeline!.model, suite, options);
}

/** Seeds of each prompt's pictures: the same for every prompt, so that prompts compare. */
export function seedsOfPrompt({ seed, count }: EvaluateFlags, suite: PromptSuite): readonly number[] {
  return typeof seed === 'number' ? Array.from({ length: count ?? suite.count }, (_, k) => seed + k) : seed;
}

/** Makes a folder this run's own. @throws Error if it holds pictures of another run, or of something else: they must not be mixed. */
async function claim(folder: string, run: Readonly<Record<string, unknown>>): Promise<void> {
  const file = join(folder, 'run.json');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) {
    const foreign = await readdir(join(folder, picturesFolder)).catch(() => []);
    if (foreign.length)
      throw new Error(
        `evaluate: --out must be a new folder or one of the same run, got ${folder} with ${foreign.length} entries of another origin in ${picturesFolder}/. Choose another folder.`,
      );
    return writeWhole(file, `${JSON.stringify(run, null, 2)}\n`);
  }
  const before = JSON.parse(text) as Record<string, unknown>;
  const names = Object.keys(run).filter((name) => JSON.stringify(run[name]) !== JSON.stringify(before[name]));
  if (names.length)
    throw new Error(
      `evaluate: --out must be a new folder or one of the same run, got ${folder} of a run that differs in ${names.join(', ')}. Choose another folder, or delete it.`,
    );
}

interface Measured {
  readonly samples: PictureSource | undefined;
  readonly statistics: Statistics | undefined;
  readonly folder: string;
}

/** Metrics of features, overall and by category. */
async function measureFeatures(
  context: Context,
  given: Measured,
): Promise<{ rows: MetricRow[]; categories: CategoryReport[] }> {
  const inception = await inceptionRows(context, given);
  const clip = await clipRows(context, given);
  const categories = categoriesOf(given.samples);
  const parts: CategoryReport[] = [];
  for (const name of categories.length > 1 ? categories : []) {
    const count = given.samples!.pictures.filter(({ category }) => category === name).length;
    parts.push({ name, count, rows: [...(await inception(name)), ...clip(name)] });
  }
  return { rows: [...(await inception()), ...clip()], categories: parts };
}

const categoriesOf = (source: PictureSource | undefined): string[] =>
  [...new Set((source?.pictures ?? []).flatMap(({ category }) => category ?? []))].sort();

/** Items of a source's pictures of one category, or of all. */
const partOf = <T>(items: readonly T[], { pictures }: PictureSource, category: string | undefined): T[] =>
  items.filter((_, i) => category === undefined || pictures[i]!.category === category);

const workOf = ({ flags, signal }: Context, folder: string): FeatureWork => ({
  folder: join(folder, 'features'),
  batch: flags.batch,
  signal,
});

/** Computes features once; the function measures all of them, or a category. */
async function inceptionRows(
  context: Context,
  { samples, statistics, folder }: Measured,
): Promise<(category?: string) => Promise<MetricRow[]>> {
  const { flags, inception, references, plan } = context;
  const wanted = (['fid', 'kid', 'is', 'pr'] as const).filter((name) => plan.metrics.has(name));
  if (!inception || !wanted.length) return async () => [];
  const { layer, splits } = flags;
  const seed = [flags.seed].flat()[0]!;
  const own = samples && (await inceptionSet(inception, samples, { ...workOf(context, folder), layer }));
  const others = await referenceSet(context, wanted);
  return async (category) => {
    const features = own && partOf(own.features, samples!, category);
    const logits = own && partOf(own.logits, samples!, category);
    const compared = referencesFor(context, others, category);
    return measureInception(
      {
        samples: { ...(features && { features }), ...(statistics && { statistics }) },
        ...(compared && references && { references: compared }),
        ...(logits && { logits }),
        network: inception.model.config,
        layer: Number(layer),
        splits,
        seed,
      },
      wanted,
    );
  };
}

/** Features of the references' pictures, where a metric compares with them. */
async function referenceSet(context: Context, wanted: readonly InceptionMetric[]): Promise<InceptionSet | undefined> {
  const { references, inception, work, flags } = context;
  const compares = flags.saveStatistics !== undefined || wanted.some((name) => name !== 'is');
  if (!references || isStatistics(references) || !compares) return undefined;
  return inceptionSet(inception!, references, { ...workOf(context, join(work, 'references')), layer: flags.layer });
}

/** References of a category: those of the same name where there are any; statistics are of all pictures, so they serve the whole only. */
function referencesFor(
  { references }: Context,
  set: InceptionSet | undefined,
  category?: string,
): MeasuredSet | undefined {
  if (!references) return undefined;
  if (isStatistics(references)) return category === undefined ? { statistics: references.statistics } : undefined;
  return set && { features: partOf(set.features, references, category) };
}

/** Computes both sides once; the function gives the mean cosine of all, or of a category. */
async function clipRows(context: Context, { samples, folder }: Measured): Promise<(category?: string) => MetricRow[]> {
  const { clip, plan } = context;
  if (!clip || !samples || !plan.metrics.has('clip')) return () => [];
  const images = await clipImageSet(clip, samples, workOf(context, folder));
  const prompts = samples.pictures.map(({ prompt = '' }) => prompt);
  const different = [...new Set(prompts)];
  const texts = new Map<string, Float32Array>();
  for await (const vector of clip.model.textFeatures(different)) texts.set(different[texts.size]!, vector);
  const cosines = images.map((image, i) => cosineSimilarity(image, texts.get(prompts[i]!)!));
  const { side, patch, layers, width } = clip.model.vision.config;
  const { positions } = clip.model.text.model.config;
  const tower = `CLIP image tower of ${layers} layers, ${width} wide, patches of ${patch} at ${side} px, shorter side resized bicubic, middle square; prompts cut at ${positions} tokens`;
  return (category) => {
    const part = partOf(cosines, samples, category);
    if (!part.length) return [];
    const value = part.reduce((sum, one) => sum + one, 0) / part.length;
    const protocol = `mean cosine of ${part.length} pictures and their prompts; ${tower}`;
    return [{ id: 'clip', name: 'CLIP score', value, better: 'higher', protocol }];
  };
}

async function measurePairs(context: Context, samples: PictureSource | undefined): Promise<MetricRow[]> {
  const { plan, pipeline, references, lpips } = context;
  const has = (name: MetricName): boolean => plan.metrics.has(name);
  if (
    !references ||
    isStatistics(references) ||
    !['psnr', 'ssim', 'lpips', 'codebook'].some((name) => has(name as MetricName))
  )
    return [];
  const pairs: Pairs = pipeline ? reconstructionPairs(pipeline.model, references) : namedPairs(samples!, references);
  return [
    ...(has('psnr') || has('ssim') ? await reconstructionRows(pairs, plan.metrics) : []),
    ...(has('lpips') ? await lpipsRows(pairs, lpips!) : []),
    ...(has('codebook') && pipeline ? await codebookRows(pipeline.model, references) : []),
  ];
}

const retrieved = ({ references }: Context, samples: PictureSource): ReturnType<typeof retrievalRows> =>
  retrievalRows(samples, references as PictureSource);

/** Writes pytorch-fid's statistics of the references, or of the samples where there are none. */
async function saveStatistics(context: Context): Promise<void> {
  const { flags, references, samples, inception, work } = context;
  if (flags.saveStatistics === undefined) return;
  const source = references ?? samples;
  if (!source || isStatistics(source))
    throw new Error('evaluate: --save-statistics needs pictures by --references, --pack or --samples, got none.');
  const folder = references ? join(work, 'references') : work;
  const { features } = await inceptionSet(inception!, source, { ...workOf(context, folder), layer: flags.layer });
  await writeWhole(flags.saveStatistics, writeStatistics(statisticsOf(features)));
}
