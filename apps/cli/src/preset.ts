import { totalmem } from 'node:os';
import { type Pipeline, randomPipeline } from '@star-webgpu/sampler';
import { type StarPreset, starPresets } from '@star-webgpu/star-transformer';
import { currentDevice, type Precision } from '@star-webgpu/tensor-webgpu';
import type { Ratio } from '@star-webgpu/vqvae';
import { gigabytes, print, say } from './output.ts';
import { type PicturePlan, planPicture, total } from './picture-plan.ts';

/** Names that `--preset` takes. */
export const presetNames: readonly StarPreset[] = Object.keys(starPresets) as StarPreset[];

/** How the models of a preset are made. */
export interface PresetOptions {
  readonly precision: Precision;
  readonly seed: number;
  /** Of the pictures to be drawn. */
  readonly ratio: Ratio | undefined;
}

/**
 * A pipeline of a published size with random weights. @throws Error where the device does not grant what it takes, before anything is
 * allocated.
 */
export function openPreset(preset: StarPreset, { precision, seed, ratio }: PresetOptions): Pipeline {
  refuse(planPicture(preset, precision, ratio));
  say(
    `${preset} with random weights from seed ${seed}, ${precision}: pictures show nothing. Its vocabulary is not here, so prompts are read byte by byte.`,
  );
  return randomPipeline(preset, { seed, precision });
}

/** Prints what one guided picture of a preset takes on the device. @throws Error where the device does not grant it. */
export function reportPreset(
  preset: StarPreset,
  { precision, ratio }: Omit<PresetOptions, 'seed'>,
  json: boolean,
): void {
  const plan = planPicture(preset, precision, ratio);
  const refusals = refusalsOf(plan);
  print(json ? JSON.stringify({ ...plan, refusals, totalBytes: total(plan.bytes) }) : planLines(plan).join('\n'));
  refuse(plan);
}

function refuse(plan: PicturePlan): void {
  const refusals = refusalsOf(plan);
  if (refusals.length)
    throw new Error(
      `sample: ${plan.preset} must fit the device, got ${refusals.length} faults:\n  ${refusals.join('\n  ')}`,
    );
}

/** What the device's limits refuse, and its memory where it is the machine's. */
const refusalsOf = (plan: PicturePlan): string[] => [...plan.refusals, ...memoryRefusals(plan)];

function memoryRefusals(plan: PicturePlan): string[] {
  if (!currentDevice().profile.isCpu) return [];
  const limit = Math.min(totalmem(), process.constrainedMemory() || Infinity);
  const all = total(plan.bytes);
  if (all <= limit) return [];
  const way = plan.precision === 'f32' ? 'Use --precision f16, a smaller preset' : 'Use a smaller preset';
  return [
    `memory: weights, cache and activations of ${gigabytes(all)} must fit the ${gigabytes(limit)} of this machine, on which its adapter computes. ${way} or a GPU.`,
  ];
}

const rows = (title: string, values: Readonly<Record<string, number>>, format: (value: number) => string): string[] =>
  Object.entries(values).map(
    ([name, value], i) => `${(i ? '' : title).padEnd(12)} ${name.padEnd(20)} ${format(value).padStart(12)}`,
  );

const withTotal = (values: Readonly<Record<string, number>>): Record<string, number> => ({
  ...values,
  all: total(values),
});

const millions = (count: number): string => `${(count / 1e6).toFixed(1)} M`;
const teraflops = (flops: number): string => `${(flops / 1e12).toFixed(3)} TFLOP`;

/** A plan in lines: what it is, then parameters, operations and memory by kind. */
function planLines(plan: PicturePlan): string[] {
  const { preset, precision, width, height, tokens, scales, dispatches } = plan;
  return [
    `${preset}: one guided picture of ${width} x ${height} pixels in ${precision}, ${tokens} tokens in ${scales} scales, ${dispatches} dispatches`,
    ...rows('parameters', withTotal(plan.parameters), millions),
    ...rows('operations', withTotal(plan.flops), teraflops),
    ...rows('memory', withTotal(plan.bytes), gigabytes),
  ];
}
