import { assign, type DeviceFilter, empty, type Tensor } from '@star-webgpu/tensor-webgpu';
import type { ResolvedOptions } from './options.ts';

/** Options that a recording is made for as they are. */
type FixedOptions = Pick<ResolvedOptions, 'smooth' | 'entropyTemperature' | 'refine' | 'ratio'>;

/** What a recorded sampling is told of its options; what changes their numbers alone needs no new recording. */
export interface PlannedOptions extends FixedOptions {
  /** Scales whose unconditional rows are computed: up to the last one that is guided. */
  readonly guidedScales: number;
  /** Whether these filters take part at all. */
  readonly topK: boolean;
  readonly topP: boolean;
}

/** Options that change from run to run. */
export type ScaleNumbers = Pick<ResolvedOptions, 'guidance' | 'refinedGuidance' | 'temperature' | 'topK' | 'topP'>;

/** The part of the options that a recording is made for. */
export function plannedOptions(options: ScaleNumbers & FixedOptions): PlannedOptions {
  const { guidance, refinedGuidance, topK, topP, smooth, entropyTemperature, refine, ratio } = options;
  const guided = guidance.map(
    (strength, scale) => strength > 0 || (!!refine?.steps[scale] && refinedGuidance[scale]! > 0),
  );
  return {
    guidedScales: guided.lastIndexOf(true) + 1,
    topK: topK.some((k) => k > 0),
    topP: topP.some((p) => p > 0),
    smooth,
    entropyTemperature,
    refine,
    ratio,
  };
}

/** One scale's numbers on the device. */
export class ScaleControls {
  /** Strength of guidance. [1] */
  readonly guidance: Tensor = empty([1]).keep();
  /** Strength of guidance for the refiner. [1] */
  readonly refinedGuidance: Tensor = empty([1]).keep();
  readonly filter: DeviceFilter;

  constructor({ topK, topP }: PlannedOptions) {
    this.filter = { values: empty([3]).keep(), topK, topP };
  }

  /** Puts the numbers of a scale in place for the next run. */
  assign({ guidance, refinedGuidance, temperature, topK, topP }: ScaleNumbers, scale: number): void {
    assign(this.guidance, [guidance[scale]!]);
    assign(this.refinedGuidance, [refinedGuidance[scale]!]);
    assign(this.filter.values, [topK[scale]!, topP[scale]!, temperature[scale]!]);
  }

  dispose(): void {
    for (const value of [this.guidance, this.refinedGuidance, this.filter.values]) value.dispose();
  }
}
