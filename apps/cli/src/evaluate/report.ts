import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import {
  evaluationHtml,
  type EvaluationReport,
  type GuidanceReport,
  jsonReport,
  markdownTable,
  type MetricRow,
} from '@star-webgpu/metrics';
import type { Pipeline, PromptOptions } from '@star-webgpu/sampler';
import { print, say } from '../output.ts';
import { writeWhole } from '../write-whole.ts';
import type { Context } from './context.ts';
import { resolvedOptions, type RunResult, samplingOf, seedsOfPrompt } from './run.ts';
import { contactSheets } from './sheets.ts';
import { isStatistics, type PictureSource, type StatisticsSource } from './sources.ts';

/** Prints the numbers, and writes report.json and report.html where there is a folder for them. */
export async function reportAll(context: Context, results: readonly RunResult[]): Promise<void> {
  const { flags, references, plan } = context;
  const report = await reportOf(context, results);
  const [first] = results as readonly [RunResult];
  print(flags.json ? summary(context, results) : table(results));
  nameMistakes(context, first);
  if (plan.leftOut.length)
    say(`left out: ${plan.leftOut.join('; ')}. --metrics with one of them says where its weights are.`);
  if (flags.out === undefined) return;
  const pictures = references && !isStatistics(references) ? references : undefined;
  const sheets = first.samples ? await contactSheets(first.samples, pictures) : [];
  await writeWhole(join(flags.out, 'report.json'), jsonReport(report));
  await writeWhole(join(flags.out, 'report.html'), evaluationHtml(report, sheets));
  say(`report: ${join(flags.out, 'report.html')}`);
}

/** Metrics line by line; a column for each guidance where there are several. */
function table(results: readonly RunResult[]): string {
  const [first] = results as readonly [RunResult];
  if (results.length === 1)
    return markdownTable(first.rows.map(({ name, value, protocol }) => ({ metric: name, value, protocol })));
  const valueOf = ({ rows }: RunResult, id: string): number | undefined => rows.find((row) => row.id === id)?.value;
  return markdownTable(
    first.rows.map(({ id, name, protocol }) => ({
      metric: name,
      ...Object.fromEntries(results.map((result) => [`cfg ${result.guidance}`, valueOf(result, id)])),
      protocol,
    })),
  );
}

/** One line for machines: the first run's numbers by name, and every run's where there are several. */
function summary({ session, flags }: Context, results: readonly RunResult[]): string {
  const numbers = (rows: readonly MetricRow[]): Record<string, number> =>
    Object.fromEntries(rows.map(({ id, value }) => [id, value]));
  const [first] = results as readonly [RunResult];
  return JSON.stringify({
    adapter: session.description,
    pictures: first.samples?.pictures.length ?? 0,
    seed: flags.seed,
    ...numbers(first.rows),
    ...(results.length > 1 && {
      guidances: results.map(({ guidance, rows }) => ({ guidance, ...numbers(rows) })),
    }),
  });
}

/** Says which captions came out nearest to another picture. */
function nameMistakes({ references }: Context, { retrieval }: RunResult): void {
  if (!retrieval || !references || isStatistics(references)) return;
  const captions = new Map(references.pictures.map(({ key, prompt }) => [key, prompt || key]));
  for (const { key, nearest } of retrieval.ranks.filter(({ rank }) => rank > 1))
    say(`"${captions.get(key)}" came out nearest to "${captions.get(nearest)}"`);
}

async function reportOf(context: Context, results: readonly RunResult[]): Promise<EvaluationReport> {
  const [first] = results as readonly [RunResult];
  const { flags, pipeline, suite, samples } = context;
  const subject = pipeline ? `Pictures of ${pipeline.label}` : `Pictures of ${samples!.label}`;
  const byGuidance = new Set(results.at(-1)!.rows.map(({ id }) => id));
  const guidances = results.flatMap(({ guidance, rows }): GuidanceReport[] =>
    guidance === undefined ? [] : [{ guidance, rows: rows.filter(({ id }) => byGuidance.has(id)) }],
  );
  return {
    format: 'star-evaluation',
    version: 1,
    title: flags.title ?? (suite ? `${subject}: ${suite.protocol.split(';')[0]}` : subject),
    rows: first.rows,
    categories: first.categories,
    guidances: guidances.length > 1 ? guidances : [],
    settings: await settingsOf(context, results),
    notes: notesOf(context, results),
  };
}

async function settingsOf(context: Context, results: readonly RunResult[]): Promise<Record<string, string | number>> {
  const { flags, pipeline, suite, references, samples, session } = context;
  const [first] = results as readonly [RunResult];
  const { secondsEach } = first;
  return {
    ...(pipeline && { model: `${pipeline.label} (${pipeline.identity})` }),
    ...(suite && { prompts: suite.protocol }),
    samples: samples ? labelOf(samples) : `${first.samples!.pictures.length} drawn`,
    ...(references && { references: labelOf(references) }),
    ...(pipeline && {
      seeds: `${seedsOfPrompt(flags, suite!).join(', ')} for each prompt`,
      sampling: samplingShown(pipeline.model, samplingOf(flags, first.guidance)),
    }),
    ...(secondsEach !== undefined && {
      'time per picture': `${secondsEach.toPrecision(3)} s, in batches of ${flags.batch}`,
    }),
    adapter: session.description,
    versions: await versions(),
    ...(context.inception && { inception: `${flags.inception} (${context.inception.identity})` }),
    ...(context.clip && { clip: `${flags.clip} (${context.clip.identity})` }),
    ...(context.lpips && { lpips: flags.lpips! }),
  };
}

const labelOf = (source: PictureSource | StatisticsSource): string =>
  isStatistics(source) ? source.label : `${source.label}, ${source.pictures.length} pictures`;

/** Options of drawing with their defaults; those that change from scale to scale as a list. */
function samplingShown(pipeline: Pipeline, given: PromptOptions): string {
  const round = (value: unknown): unknown => (typeof value === 'number' ? Number(value.toPrecision(4)) : value);
  const shown = (value: unknown): string => {
    if (!Array.isArray(value)) return typeof value === 'object' ? JSON.stringify(value) : String(value);
    const different = [...new Set(value)];
    return different.length === 1 ? String(different[0]) : `${value.map(round).join(', ')} by scale`;
  };
  return Object.entries(resolvedOptions(pipeline, given))
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${shown(value)}`)
    .join('; ');
}

/** Versions of the command and of what computes. */
async function versions(): Promise<string> {
  const require = createRequire(import.meta.url);
  const of = async (url: URL | string): Promise<string> =>
    (JSON.parse(await readFile(url, 'utf8')) as { version: string }).version;
  // Sources lie one folder deeper than the built command.
  const own = new URL(import.meta.url.endsWith('.ts') ? '../../package.json' : '../package.json', import.meta.url);
  return `star ${await of(own)}, webgpu ${await of(require.resolve('webgpu/package.json'))}, Node ${process.versions.node}`;
}

function notesOf({ suite, references, samples, flags }: Context, results: readonly RunResult[]): string[] {
  const given = samples && !isStatistics(samples) ? samples : undefined;
  const jpegs = given?.pictures.filter(({ isLossy }) => isLossy).length ?? 0;
  const lossy =
    references && !isStatistics(references) ? references.pictures.filter(({ isLossy }) => isLossy).length : 0;
  return [
    ...(results.length > 1
      ? [`Numbers, categories and pictures are those of guidance ${results[0]!.guidance}, the first of the list.`]
      : []),
    ...(suite?.kind === 'geneval' || suite?.kind === 'dpg-bench'
      ? [
          `The pictures are in the layout that the benchmark's own scorer reads: ${join(flags.out ?? '', 'pictures', suite.kind === 'dpg-bench' ? 'grids' : '')}. Its score is computed there, with its detectors.`,
        ]
      : []),
    ...(jpegs
      ? [`${jpegs} samples are JPEG or WebP, which moves every distance: compare with no number of PNG files.`]
      : []),
    ...(lossy ? [`${lossy} references are JPEG or WebP, as they were published or given.`] : []),
    ...(results.flatMap(({ rows }) => rows).some(({ id }) => id === 'fid') &&
    (results[0]!.samples?.pictures.length ?? Infinity) < 2048
      ? ['FID of fewer pictures than features is biased upwards: compare it only with numbers of as many pictures.']
      : []),
  ];
}
