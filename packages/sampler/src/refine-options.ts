import type { StarConfig } from '@star-webgpu/star-transformer';
import { publishedSteps, type StableVersion } from './stable.ts';

/** How a model with a refiner draws its large scales: in a few steps (causal-driven stable sampling) instead of at once. */
export interface RefineOptions {
  /** '1024' by default, as the published models are sampled. */
  readonly version?: StableVersion;
  /** Steps of each refined scale; by default 8, and 15 from the fourteenth scale on. */
  readonly steps?: number;
}

/** The same for each scale of a model. */
export interface ResolvedRefine {
  readonly version: StableVersion;
  /** Steps of each scale; 0 for those that are drawn at once. */
  readonly steps: readonly number[];
}

/** The parts of a transformer's config that options depend on. */
export type ScalesOf = Pick<StarConfig, 'patchNumbers' | 'refiner'>;

/** Most steps of a scale; each has a stream of random numbers. */
export const mostSteps = 64;

/** What is refined: by default all that the model's refiner was trained for; nothing where there is none. */
export function resolveRefine(
  refine: boolean | RefineOptions | undefined,
  { patchNumbers, refiner }: ScalesOf,
): ResolvedRefine | undefined {
  if (!refiner || refine === false) return undefined;
  const { version = '1024', steps }: RefineOptions = typeof refine === 'object' ? refine : {};
  const stepsAt = (scale: number): number => (scale < refiner.sampleFrom ? 0 : (steps ?? publishedSteps(scale)));
  return { version, steps: patchNumbers.map((_, scale) => stepsAt(scale)) };
}

/** True for what `refine` may be. */
export function isRefine(value: unknown): boolean {
  if (typeof value === 'boolean') return true;
  if (typeof value !== 'object' || value === null) return false;
  const { version = 'new', steps = 1, ...rest } = value as Record<string, unknown>;
  const counts = Number.isInteger(steps) && (steps as number) >= 1 && (steps as number) <= mostSteps;
  return (version === '1024' || version === 'new') && counts && Object.keys(rest).length === 0;
}
