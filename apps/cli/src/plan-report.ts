import { Star, starConfig, type StarPreset, starPresets } from '@star-webgpu/star-transformer';
import { backward, empty, plan, type Tensor, withParameters, withPrecision } from '@star-webgpu/tensor-webgpu';
import { tokenCount } from '@star-webgpu/vqvae/scales';
import { withNullDevice } from './null-device.ts';
import { gigabytes } from './output.ts';
import { planPicture, total } from './picture-plan.ts';

/** Memory of one kind of work, in bytes by kind. */
export interface PlannedWork {
  readonly work: string;
  readonly dispatches: number;
  readonly bytes: Readonly<Record<string, number>>;
  /** What does not fit. */
  readonly note?: string;
}

const textTokens = 77;

const sizeOf = (tensors: readonly Tensor[], bytes: number): number =>
  tensors.reduce((sum, { size }) => sum + size * bytes, 0);

/** A training step whose memory is asked for. */
interface TrainingPlan {
  readonly preset: StarPreset;
  readonly batch: number;
  readonly recompute?: boolean;
}

/** Steps of the published recipes, with as many pictures at once as show what one takes. */
const trainingPlans: readonly TrainingPlan[] = [
  { preset: 'star-256-d16-per-sample', batch: 8 },
  { preset: 'star-256-d16-per-sample', batch: 8, recompute: true },
  { preset: 'star-256-d30-per-sample', batch: 8 },
  { preset: 'star-256-d30-per-sample', batch: 8, recompute: true },
  { preset: 'star-512-d30-per-sample', batch: 2 },
  { preset: 'star-512-d30-per-sample', batch: 2, recompute: true },
];

/** Memory of training and sampling with the published sizes in half precision: recorded on Dawn's null backend, with no weights and no GPU. */
export const plannedWorks = (): Promise<PlannedWork[]> =>
  withNullDevice(() => [
    ...trainingPlans.map(trainingWork),
    ...(['star-256-d16', 'star-256-d30', 'star-512-d30', 'star-1024-d30'] as const).map((preset) =>
      samplingWork(preset),
    ),
  ]);

/** A step with f32 weights, gradients and moments, and half floats in the products; all gradients live until the update. */
function trainingWork(wanted: TrainingPlan): PlannedWork {
  const step = plan(() =>
    withParameters({ values: 'none' }, () => withPrecision('f16', () => forwardAndBackward(wanted))),
  );
  const weights = sizeOf(step.result.parameters, 4);
  const { preset, batch, recompute } = wanted;
  return {
    work: `training step of ${preset}, batch ${batch}${recompute ? ', recompute' : ''}`,
    dispatches: step.size.dispatches,
    bytes: { weights, gradients: weights, moments: 2 * weights, activations: step.size.bytes - 2 * weights },
  };
}

function forwardAndBackward({ preset, batch: B, recompute }: TrainingPlan): {
  readonly loss: Tensor;
  readonly parameters: Tensor[];
  readonly gradients: Tensor[];
} {
  const star = new Star(starConfig(starPresets[preset]));
  const { patchNumbers, codeWidth, textWidth } = star.config;
  const parameters = [...star.namedParameters().values()];
  const L = tokenCount(patchNumbers);
  const text = {
    states: empty([B, textTokens, textWidth]),
    mask: empty([B, textTokens], 'u32'),
    pooled: empty([B, textWidth]),
  };
  const features_BLC = star.features({ input_BlZ: empty([B, L - 1, codeWidth]), text, recompute });
  const { loss } = star.loss(features_BLC, empty([B, L], 'u32'));
  return { loss, parameters, gradients: backward(loss, parameters) };
}

/** One guided picture with f16 weights and cache. */
function samplingWork(preset: StarPreset): PlannedWork {
  const { bytes, dispatches, refusals } = planPicture(preset, 'f16');
  return {
    work: `one picture of ${preset}, guided`,
    dispatches,
    bytes,
    ...(refusals.length && { note: refusals.join('; ') }),
  };
}

/** A line a work, and its notes below. */
export const plannedLines = (works: readonly PlannedWork[]): string[] =>
  works.flatMap(({ work, dispatches, bytes, note }) => {
    const kinds = Object.entries(bytes).map(([kind, value]) => `${kind} ${gigabytes(value)}`);
    const line = `${work.padEnd(80)} ${gigabytes(total(bytes)).padStart(9)}  (${kinds.join(', ')}; ${dispatches} dispatches)`;
    return [line, ...(note ? [`  ${note}`] : [])];
  });
