// Measures what the options of drawing do to quality and time, on the model of recipes/emoji with or without a refiner, and draws the charts of
// docs/results/sampling.md: tsx tools/measure-sampling.main.ts PACK MODEL
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openPictures } from '../apps/cli/src/evaluate/sources.ts';
import { readKeys } from '../apps/cli/src/read-keys.ts';
import { markdownTable } from '../packages/metrics/src/index.ts';
import { loadPipeline } from '../packages/sampler/src/index.ts';
import { openGpu, throttledWait } from '../packages/tensor-webgpu/src/device/node.ts';
import { createDevice, setDevice } from '../packages/tensor-webgpu/src/index.ts';
import { scaleColour } from './figures/svg.ts';
import { overviewChart, sweepChart } from './measure-sampling/charts.ts';
import { type Measured, measureSetting, timeSettings, type Wanted } from './measure-sampling/measure.ts';
import { sweepsOf } from './measure-sampling/settings.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const [packFile, modelFolder] = process.argv.slice(2);
if (packFile === undefined || modelFolder === undefined)
  throw new Error(
    `measure-sampling: PACK and MODEL must be the pack of the emoji and a model's folder, got ${process.argv.length - 2} of them.`,
  );

/** Every sixth emoji that the model knows is drawn. */
const stride = 6;
const batch = 6;
/** Of the page: everything behind it is written by this program. */
const numbersHeading = '## Numbers';
/** How often each setting is timed. */
const rounds = 5;

const { adapter, description, close } = await openGpu();
const device = await createDevice(adapter, { wait: throttledWait, onDestroy: close });
setDevice(device);
const pipeline = await loadPipeline((path) => readFile(join(resolve(modelFolder), path)));
const gallery = await galleryOf(packFile);
const prompts = gallery.filter((_, i) => i % stride === 0);
const task = { pipeline, prompts, gallery, seeds: [1, 1001], batch } as const;
const { patchNumbers, refiner } = pipeline.star.config;
const sweeps = sweepsOf({ scales: patchNumbers.length, isRefined: refiner !== undefined });

/** The pictures that the model knows, with their names. */
async function galleryOf(file: string): Promise<Wanted[]> {
  const source = await openPictures('PACK', file, await readKeys(join(root, 'recipes/emoji/keys.txt')));
  const known = await Promise.all(
    source.pictures.map(async ({ key, prompt = '', read }) => ({ key, picture: await read(), caption: prompt })),
  );
  await source.close();
  return known;
}

const found: Measured[] = [];
for (const sweep of sweeps)
  for (const setting of sweep.settings) {
    found.push(await measureSetting(task, sweep, setting));
    console.error(JSON.stringify(found.at(-1)));
  }
const times = await timeSettings(
  task,
  sweeps.flatMap(({ settings }) => settings),
  rounds,
);
const rows = found.map((row, i) => ({ ...row, seconds: times[i]! }));

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
const tables = sweeps.map(({ id, title }) => {
  const own = rows.filter(({ sweep }) => sweep === id);
  const table = own.map(({ setting, top1, psnr, likeness, seconds }) => ({
    setting,
    'nearest to its own': `${rounded(100 * top1, 1)}%`,
    'dB to its own': rounded(psnr, 2),
    'dB between two seeds': rounded(likeness, 2),
    'ms a picture': rounded(1000 * seconds, 0),
  }));
  return `### ${title}\n\n![${title}](../public/results/sampling-${id}.svg)\n\n${markdownTable(table)}`;
});
const folder = join(root, 'docs/public/results');
await mkdir(folder, { recursive: true });
for (const sweep of sweeps)
  await writeFile(
    join(folder, `sampling-${sweep.id}.svg`),
    sweepChart(
      sweep,
      rows.filter(({ sweep: id }) => id === sweep.id),
    ),
  );
const colours = new Map(sweeps.map(({ id }, i) => [id, scaleColour(i, sweeps.length)]));
await writeFile(
  join(folder, 'sampling.svg'),
  overviewChart(rows, (id) => colours.get(id)!),
);
const about = `Adapter: ${description}. ${prompts.length} names, two seeds each, compared with ${gallery.length} pictures; batches of ${batch}, the quickest of ${rounds} timed.`;
const page = join(root, 'docs/results/sampling.md');
const [words] = (await readFile(page, 'utf8')).split(numbersHeading);
await writeFile(page, `${words}${numbersHeading}\n\n${about}\n\n${tables.join('\n\n')}\n`);
pipeline.dispose();
device.destroy();
