import type { PerScale, SamplingDefaults } from '@star-webgpu/sampler';
import type { Settings } from './painter.ts';

/** A number for all scales, or that of the last one, where guidance has its full strength. */
const lastOf = (value: PerScale): number => (typeof value === 'number' ? value : value.at(-1)!);

/** What a page shows of a model's defaults; the published demo's where it has none. */
export function settingsOf(defaults: SamplingDefaults): Settings {
  const { guidance = 4, temperature = 1, topK = 600, topP = 0.8, smooth = false, refine = true } = defaults;
  return {
    guidance: lastOf(guidance),
    temperature: lastOf(temperature),
    topK: lastOf(topK),
    topP: lastOf(topP),
    smooth,
    refine: refine !== false,
  };
}

/** Options of a sampling: those that differ from what the page was shown; for the rest the model's own hold, lists a scale among them. */
export function changedOptions(settings: Settings, defaults: SamplingDefaults): Partial<Settings> {
  const shown = settingsOf(defaults);
  const names = Object.keys(shown) as (keyof Settings)[];
  return Object.fromEntries(
    names.filter((name) => settings[name] !== shown[name]).map((name) => [name, settings[name]]),
  );
}
