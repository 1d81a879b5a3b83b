import type { SamplingFlags } from '../sampling-flags.ts';
import type { Layer } from './features.ts';
import { type NetworkName, weightsAdvice } from './networks.ts';

/** Options of `star evaluate`. */
export interface EvaluateFlags extends Omit<SamplingFlags, 'count'> {
  readonly samples?: string;
  readonly references?: string;
  readonly prompts?: string;
  readonly pack?: string;
  readonly keysFile?: string;
  readonly model?: string;
  readonly metrics?: readonly string[];
  readonly inception?: string;
  readonly clip?: string;
  readonly lpips?: string;
  readonly layer: Layer;
  readonly splits: number;
  readonly take?: number;
  readonly count?: number;
  readonly cfgSweep?: readonly number[];
  readonly batch: number;
  readonly out?: string;
  readonly saveStatistics?: string;
  readonly title?: string;
  readonly json?: boolean;
  readonly adapter?: string;
}

/** Every metric, in the order of the report. */
const allMetrics = ['fid', 'kid', 'is', 'pr', 'clip', 'psnr', 'ssim', 'lpips', 'codebook', 'retrieval'] as const;
export type MetricName = (typeof allMetrics)[number];

/** What is asked for, once it is known that it can be done. */
export interface EvaluatePlan {
  readonly metrics: ReadonlySet<MetricName>;
  /** Pictures are drawn by a model; else they are given. */
  readonly draws: boolean;
  /** Metrics that something is wanted for, with its name. */
  readonly leftOut: readonly string[];
}

/** What each metric wants besides samples. */
type Want = 'references' | 'reference pictures' | 'prompts' | 'model';

const wants: Readonly<Record<MetricName, { readonly network?: NetworkName; readonly needs: readonly Want[] }>> = {
  fid: { network: 'inception', needs: ['references'] },
  kid: { network: 'inception', needs: ['reference pictures'] },
  is: { network: 'inception', needs: [] },
  pr: { network: 'inception', needs: ['reference pictures'] },
  clip: { network: 'clip', needs: ['prompts'] },
  psnr: { needs: ['reference pictures'] },
  ssim: { needs: ['reference pictures'] },
  lpips: { network: 'lpips', needs: ['reference pictures'] },
  codebook: { needs: ['reference pictures', 'model'] },
  retrieval: { needs: ['reference pictures'] },
};

/** Options that give a want. */
const givers: Readonly<Record<Want, string>> = {
  references: '--references or --pack',
  'reference pictures': '--references (pictures) or --pack',
  prompts: '--prompts or --pack',
  model: 'a model that draws (no --samples)',
};

/** Decides what is measured. @throws Error if the options contradict each other, or a metric that is asked for by name lacks something. */
export function planOf(flags: EvaluateFlags): EvaluatePlan {
  checkSources(flags);
  const draws = flags.samples === undefined;
  const asked = flags.metrics?.map(checkedName);
  for (const metric of asked ?? []) refuseLack(metric, lackOf(metric, flags, draws));
  const usual = allMetrics.filter((metric) => isUsual(metric, flags, draws));
  const metrics = asked ?? usual.filter((metric) => !lackOf(metric, flags, draws));
  return { metrics: new Set(metrics), draws, leftOut: asked ? [] : leftOutOf(usual, flags, draws) };
}

/** What is left out for want of something, by what is wanted: `fid, kid (want --inception)`. */
function leftOutOf(usual: readonly MetricName[], flags: EvaluateFlags, draws: boolean): string[] {
  const byLack = new Map<string, MetricName[]>();
  for (const metric of usual) {
    const lack = lackOf(metric, flags, draws);
    if (lack) byLack.set(lack.option, [...(byLack.get(lack.option) ?? []), metric]);
  }
  return [...byLack].map(([option, metrics]) => `${metrics.join(', ')} (want ${option})`);
}

function refuseLack(metric: MetricName, lack: Lack | undefined): void {
  if (!lack) return;
  throw new Error(
    `evaluate: ${metric} needs ${lack.option}, got none.${lack.network ? `\n${weightsAdvice(lack.network)}` : ''}`,
  );
}

/** Without --metrics pictures are compared pixel by pixel only where a pack says which belong together. */
const isUsual = (metric: MetricName, { pack }: EvaluateFlags, draws: boolean): boolean =>
  wants[metric].network !== undefined || (pack !== undefined && draws);

function checkSources({ samples, pack, prompts, references, cfg, cfgSweep, model }: EvaluateFlags): void {
  if (samples === undefined && pack === undefined && prompts === undefined)
    throw new Error(
      'evaluate: give pictures by --samples, or what to draw by --pack or --prompts, got none of them. See star evaluate --help.',
    );
  if (pack !== undefined && (prompts !== undefined || references !== undefined || samples !== undefined))
    throw new Error(
      'evaluate: --pack is prompts and references in one, got others beside it. Use --prompts and --references, which take packs as well.',
    );
  if (samples !== undefined && [cfg, cfgSweep, model].some((flag) => flag !== undefined))
    throw new Error('evaluate: --model and --cfg are for drawing, got them with --samples. Leave one out.');
  if (cfg !== undefined && cfgSweep !== undefined)
    throw new Error('evaluate: --cfg is one guidance and --cfg-sweep several, got both. Leave one out.');
}

function checkedName(name: string): MetricName {
  if ((allMetrics as readonly string[]).includes(name)) return name as MetricName;
  throw new Error(
    `evaluate: --metrics must be some of ${allMetrics.join(', ')}, got ${name}. Separate them by commas.`,
  );
}

/** An option that a metric needs and that was not given. */
interface Lack {
  readonly option: string;
  readonly network?: NetworkName;
}

function lackOf(metric: MetricName, flags: EvaluateFlags, draws: boolean): Lack | undefined {
  const { network, needs } = wants[metric];
  if (network && flags[network] === undefined) return { option: `--${network}`, network };
  const missing = needs.find((want) => !isGiven(want, flags, draws));
  return missing && { option: givers[missing] };
}

function isGiven(want: Want, { references, prompts, pack }: EvaluateFlags, draws: boolean): boolean {
  if (want === 'prompts') return prompts !== undefined || pack !== undefined;
  if (want === 'model') return draws;
  if (pack !== undefined) return true;
  return references !== undefined && (want === 'references' || !references.endsWith('.npz'));
}
