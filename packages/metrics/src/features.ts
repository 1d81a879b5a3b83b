import { MetricError } from './picture.ts';

/** Features of two sets of pictures, one vector a picture. */
export interface FeatureSets {
  readonly samples: readonly Float32Array[];
  readonly references: readonly Float32Array[];
}

/** @throws MetricError unless both sets have enough vectors of one length. */
export function checkSets(metric: string, { samples, references }: FeatureSets, least: number): void {
  for (const [name, set] of Object.entries({ samples, references }))
    if (set.length < least)
      throw new MetricError(metric, `${name} must number at least ${least}, got ${set.length}. Add pictures.`);
  const lengths = new Set([...samples, ...references].map(({ length }) => length));
  if (lengths.size > 1)
    throw new MetricError(
      metric,
      `features must have one length, got ${[...lengths].join(' and ')}. Take them from the same layer.`,
    );
}
