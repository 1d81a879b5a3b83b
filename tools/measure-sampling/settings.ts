import type { SamplingOptions } from '../../packages/sampler/src/index.ts';

/** A way to draw, under the name that tables and charts show. */
export interface Setting {
  readonly name: string;
  readonly options: SamplingOptions;
}

/** Settings along one option. */
export interface Sweep {
  readonly id: string;
  readonly title: string;
  readonly settings: readonly Setting[];
}

/** Without refiner, guidance and cut: what each sweep changes one thing of. */
const plain: SamplingOptions = { guidance: 0, temperature: 1, topK: 0, topP: 0, refine: false };

/** A temperature at which a model that knows its pictures by heart errs, so that cuts have something to mend. */
const hot = 1.5;

const along = <Value>(values: readonly Value[], optionsOf: (value: Value) => SamplingOptions): Setting[] =>
  values.map((value) => ({ name: String(value), options: { ...plain, ...optionsOf(value) } }));

/** What is measured of a model with so many scales; those of a refiner only where it has one. */
export function sweepsOf({ scales, isRefined }: { readonly scales: number; readonly isRefined: boolean }): Sweep[] {
  const until = Array.from({ length: scales }, (_, i) => i + 1);
  return [
    { id: 'guidance', title: 'Guidance', settings: along([0, 0.5, 1, 2, 4], (guidance) => ({ guidance })) },
    {
      id: 'guidance-until',
      title: 'No guidance from this scale on, guidance 1',
      settings: along(until, (guidanceUntil) => ({ guidance: 1, guidanceSchedule: 'constant', guidanceUntil })),
    },
    {
      id: 'temperature',
      title: 'Temperature',
      settings: along([0.5, 1, 1.5, 2, 3], (temperature) => ({ temperature })),
    },
    {
      id: 'top-k',
      title: `Top-k, temperature ${hot}`,
      settings: along([1, 4, 16, 64, 0], (topK) => ({ topK, temperature: hot })),
    },
    {
      id: 'top-p',
      title: `Top-p, temperature ${hot}`,
      settings: along([0.5, 0.8, 0.9, 0.97, 0], (topP) => ({ topP, temperature: hot })),
    },
    {
      id: 'entropy',
      title: 'Temperature by entropy',
      settings: [1, hot].flatMap((temperature) =>
        along([false, true], (entropyTemperature) => ({ entropyTemperature, temperature })).map(
          ({ name, options }) => ({ name: `${name}, temperature ${temperature}`, options }),
        ),
      ),
    },
    ...(isRefined ? [refinerSweep] : []),
  ];
}

const refinerSweep: Sweep = {
  id: 'refiner',
  title: `Refiner, temperature ${hot}`,
  settings: [
    { name: 'none', options: { ...plain, temperature: hot } },
    ...(['1024', 'new'] as const).flatMap((version) =>
      [1, 4, 8].map((steps) => ({
        name: `${version}, ${steps}`,
        options: { ...plain, temperature: hot, refine: { version, steps } },
      })),
    ),
  ],
};
