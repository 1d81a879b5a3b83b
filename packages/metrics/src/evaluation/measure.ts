import { frechetDistance } from '../frechet/frechet.ts';
import { type Statistics, statisticsOf } from '../frechet/statistics.ts';
import { inceptionScore } from '../inception-score.ts';
import { type InceptionConfig, publishedInceptionConfig } from '../inception/config.ts';
import { kernelDistance, kid } from '../kid.ts';
import { precisionRecall } from '../precision-recall.ts';
import type { MetricRow } from './rows.ts';

/** Metrics of Inception features. */
export type InceptionMetric = 'fid' | 'kid' | 'is' | 'pr';

/** Features of a set of pictures, or its statistics alone. */
export interface MeasuredSet {
  readonly count?: number;
  readonly features?: readonly Float32Array[];
  readonly statistics?: Statistics;
}

/** What the metrics of an Inception network are computed of. */
export interface InceptionMeasurement {
  readonly samples: MeasuredSet;
  readonly references?: MeasuredSet;
  /** Logits of the samples, without bias. */
  readonly logits?: readonly Float32Array[];
  readonly network: InceptionConfig;
  /** Published channels of the layer: 64, 192, 768 or 2048. */
  readonly layer: number;
  readonly splits?: number;
  readonly seed?: number;
}

/** What every number of the network depends on; small networks are named as such. */
function networkProtocol({ side, channelDivisor, classes }: InceptionConfig): string {
  const { side: published, classes: known } = publishedInceptionConfig;
  const form =
    channelDivisor === 1 && side === published && classes === known
      ? 'pytorch-fid Inception-v3'
      : `network of the Inception form with channels / ${channelDivisor}: not comparable with published numbers`;
  return `${form}, ${side} px bilinear without antialiasing`;
}

const countOf = ({ count, features }: MeasuredSet): string => String(count ?? features?.length ?? 'unknown');

/** Rows of the wanted metrics, in their order; those that the given sets do not allow are left out. */
export async function measureInception(
  given: InceptionMeasurement,
  wanted: readonly InceptionMetric[],
): Promise<MetricRow[]> {
  const rows: MetricRow[] = [];
  for (const metric of wanted) rows.push(...(await measures[metric](given)));
  return rows;
}

const sizes = ({ samples, references }: InceptionMeasurement): string =>
  `${countOf(samples)} samples against ${references ? countOf(references) : 0} references`;

const measures: Readonly<Record<InceptionMetric, (given: InceptionMeasurement) => Promise<MetricRow[]>>> = {
  fid: async (given) => {
    const [samples, references] = [statisticsIn(given.samples), given.references && statisticsIn(given.references)];
    if (!samples || !references) return [];
    const protocol = `${networkProtocol(given.network)}, pool ${given.layer}, float64 statistics, ${sizes(given)}`;
    return [{ id: 'fid', name: 'FID', value: frechetDistance(samples, references), better: 'lower', protocol }];
  },
  kid: async (given) => {
    const [samples, references] = [given.samples.features, given.references?.features];
    if (!samples || !references || Math.min(samples.length, references.length) < 2) return [];
    const base = `${networkProtocol(given.network)}, pool ${given.layer}, unbiased, kernel (x y / D + 1)^3`;
    const row = { id: 'kid', name: 'KID', better: 'lower' } as const;
    if (Math.max(samples.length, references.length) <= 1000) {
      const value = await kernelDistance({ samples, references });
      return [{ ...row, value, protocol: `${base}, whole sets, ${sizes(given)}` }];
    }
    const { mean, deviation, subsets, subsetSize } = await kid({ samples, references }, { seed: given.seed ?? 0 });
    const protocol = `${base}, ${subsets} subsets of ${subsetSize}, seed ${given.seed ?? 0}, ${sizes(given)}`;
    return [{ ...row, value: mean, deviation, protocol }];
  },
  is: async ({ logits, network, splits = 10 }) => {
    if (!logits?.length) return [];
    const found = inceptionScore(logits, { splits: Math.min(splits, logits.length) });
    const protocol = `${networkProtocol(network)}, ${network.classes} classes without bias, ${found.splits} splits in order, ${logits.length} samples`;
    return [
      { id: 'is', name: 'Inception score', value: found.mean, deviation: found.deviation, better: 'higher', protocol },
    ];
  },
  pr: async (given) => {
    const [samples, references] = [given.samples.features, given.references?.features];
    const neighbours = 3;
    if (!samples || !references || Math.min(samples.length, references.length) <= neighbours) return [];
    const { precision, recall } = await precisionRecall({ samples, references }, { neighbours });
    const protocol = `${networkProtocol(given.network)}, pool ${given.layer}, ${neighbours} nearest neighbours, ${sizes(given)}`;
    return [
      { id: 'precision', name: 'Precision', value: precision, better: 'higher', protocol },
      { id: 'recall', name: 'Recall', value: recall, better: 'higher', protocol },
    ];
  },
};

/** Statistics of a set, where two pictures or more allow any. */
function statisticsIn({ features, statistics }: MeasuredSet): Statistics | undefined {
  return statistics ?? (features && features.length > 1 ? statisticsOf(features) : undefined);
}
