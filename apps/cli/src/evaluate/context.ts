import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Clip,
  type Inception,
  loadClip,
  loadInception,
  loadLpips,
  type Lpips,
  type PromptSuite,
} from '@star-webgpu/metrics';
import type { Pipeline } from '@star-webgpu/sampler';
import { openSession, type Session } from '../device.ts';
import { lockFolder } from '../lock-folder.ts';
import { openModel, ownFolder } from '../model.ts';
import { interruptSignal } from '../output.ts';
import { readKeys } from '../read-keys.ts';
import type { Used } from './features.ts';
import { modelDigest } from './identity.ts';
import { networkFolder } from './networks.ts';
import type { EvaluateFlags, EvaluatePlan, MetricName } from './plan.ts';
import { captionPrompts, openPrompts } from './prompts.ts';
import { isStatistics, openPictures, openSource, type PictureSource, type StatisticsSource } from './sources.ts';

/** Everything that an evaluation works with. */
export interface Context {
  readonly flags: EvaluateFlags;
  readonly plan: EvaluatePlan;
  readonly session: Session;
  readonly signal: AbortSignal;
  /** Where pictures and features are kept: --out, or a folder that goes at the end. */
  readonly work: string;
  /** Pictures or statistics that were given; undefined where a model draws. */
  readonly samples: PictureSource | StatisticsSource | undefined;
  readonly references: PictureSource | StatisticsSource | undefined;
  readonly suite: PromptSuite | undefined;
  readonly pipeline: (Used<Pipeline> & { readonly label: string }) | undefined;
  readonly inception: Used<Inception> | undefined;
  readonly clip: Used<Clip> | undefined;
  readonly lpips: Lpips | undefined;
  close(): Promise<void>;
}

/** Pictures of a pack that are measured where nothing else is said. */
const usualTake = 200;

/** Opens sources before the device, so that a wrong path fails at once, then the networks and the model. */
export async function openContext(flags: EvaluateFlags, plan: EvaluatePlan): Promise<Context> {
  const folders = await openFolders(flags, plan);
  const sources = await openSources(flags);
  const unlock = flags.out === undefined ? undefined : await lockFolder(flags.out, 'evaluate');
  const session = await openSession(flags.adapter);
  const work = flags.out ?? (await mkdtemp(join(tmpdir(), 'star-evaluate-')));
  const { inception, clip, lpips } = folders;
  const networks = {
    inception: inception && { model: await loadInception(inception.read), identity: inception.identity },
    clip: clip && { model: await loadClip(clip.read), identity: clip.identity },
    lpips: lpips && (await loadLpips(lpips.read)),
  };
  const pipeline = plan.draws ? await openPipeline(flags.model) : undefined;
  return {
    flags,
    plan,
    session,
    signal: interruptSignal(),
    work,
    ...sources,
    ...networks,
    pipeline,
    close: async () => {
      for (const model of [pipeline?.model, networks.inception?.model, networks.clip?.model, networks.lpips])
        model?.dispose();
      for (const source of [sources.samples, sources.references])
        if (source && !isStatistics(source)) await source.close();
      if (!flags.out) await rm(work, { recursive: true, force: true });
      await unlock?.();
      await session.close();
    },
  };
}

type Folders = Partial<Record<'inception' | 'clip' | 'lpips', Awaited<ReturnType<typeof networkFolder>>>>;

/** Folders of the networks that the wanted metrics look with. */
async function openFolders(flags: EvaluateFlags, { metrics }: EvaluatePlan): Promise<Folders> {
  const wants = (...names: readonly MetricName[]): boolean => names.some((name) => metrics.has(name));
  return {
    ...((wants('fid', 'kid', 'is', 'pr') || flags.saveStatistics !== undefined) && {
      inception: await networkFolder('inception', flags.inception),
    }),
    ...(wants('clip') && { clip: await networkFolder('clip', flags.clip) }),
    ...(wants('lpips') && { lpips: await networkFolder('lpips', flags.lpips) }),
  };
}

async function openPipeline(given: string | undefined): Promise<NonNullable<Context['pipeline']>> {
  const folder = given ?? ownFolder;
  return { model: await openModel(folder), identity: await modelDigest(folder), label: given ?? 'the emoji model' };
}

async function openSources(flags: EvaluateFlags): Promise<Pick<Context, 'samples' | 'references' | 'suite'>> {
  const keys = flags.keysFile ? await readKeys(flags.keysFile) : undefined;
  if (flags.pack !== undefined) {
    const pack = shortened(await captionedSource(flags.pack, keys), flags.take ?? usualTake);
    return { samples: undefined, references: pack, suite: captionPrompts(pack) };
  }
  const given = flags.samples === undefined ? undefined : await openSource('--samples', flags.samples, keys);
  const suite = flags.prompts === undefined ? undefined : await suiteOf(flags.prompts, keys);
  const samples = given && !isStatistics(given) && flags.take !== undefined ? shortened(given, flags.take) : given;
  return {
    samples:
      samples && suite && !isStatistics(samples) ? prompted(samples, suite, flags.count ?? suite.count) : samples,
    references: flags.references === undefined ? undefined : await openSource('--references', flags.references),
    suite: suite && (flags.take === undefined ? suite : fewer(suite, flags.take)),
  };
}

/** What --pack names. @throws Error for pictures without captions, of which nothing could be drawn. */
async function captionedSource(path: string, keys?: readonly string[]): Promise<PictureSource> {
  const source = await openPictures('--pack', path, keys);
  if (source.pictures.every(({ prompt }) => prompt !== undefined)) return source;
  throw new Error(
    `evaluate: --pack must name a pack, got the folder ${path}. Make a pack of it by star pack, or give it as --references beside --prompts.`,
  );
}

/** Prompts of a file or folder, or the captions of a pack. */
async function suiteOf(path: string, keys?: readonly string[]): Promise<PromptSuite> {
  return path.endsWith('.lmdb') ? captionPrompts(await openPictures('--prompts', path, keys)) : await openPrompts(path);
}

const shortened = (source: PictureSource, take: number): PictureSource => ({
  ...source,
  identity: `${source.identity} ${take}`,
  pictures: source.pictures.slice(0, take),
});

/** So many prompts; evenly spread where there are categories, so that each keeps its share. */
function fewer(suite: PromptSuite, take: number): PromptSuite {
  const all = suite.prompts;
  const count = Math.min(take, all.length);
  const spread = all.some(({ category }) => category !== undefined);
  const prompts = Array.from({ length: count }, (_, i) => all[spread ? Math.floor((i * all.length) / count) : i]!);
  const kept = new Set(prompts.flatMap(({ files }) => files(1).map((file) => file.split('/')[0])));
  const extras = new Map([...suite.extras].filter(([file]) => kept.has(file.split('/')[0])));
  return { ...suite, prompts, extras, protocol: `${count} of ${suite.protocol}` };
}

/** Given pictures with the prompts of a suite, by the files that the suite would have written. @throws Error naming pictures without a prompt. */
function prompted(source: PictureSource, { prompts }: PromptSuite, count: number): PictureSource {
  const byFile = new Map(
    prompts.flatMap((prompt) =>
      [...prompt.files(1), ...prompt.files(count)].map((file) => [file.replace(/\.png$/, ''), prompt] as const),
    ),
  );
  const lonely = source.pictures.filter(({ key }) => !byFile.has(key)).map(({ key }) => key);
  if (lonely.length)
    throw new Error(
      `evaluate: --prompts must have a prompt for every sample, got none for ${lonely.length} of ${source.pictures.length}: ${lonely.slice(0, 5).join(', ')}. Name them as the suite does, for example ${prompts[0]!.files(1)[0]}.`,
    );
  const pictures = source.pictures.map((picture) => {
    const { prompt, category } = byFile.get(picture.key)!;
    return { ...picture, prompt, ...(category !== undefined && { category }) };
  });
  return { ...source, pictures };
}
