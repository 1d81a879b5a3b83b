import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EvaluationReport } from '@star-webgpu/metrics';
import { type NetworkFiles, smallClipFiles, smallInceptionFiles, smallLpipsFiles } from '@star-webgpu/metrics/testing';
import { testDevice } from '@star-webgpu/tensor-webgpu/testing';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Outcome, runStar, startStar } from './testing/run-star.ts';

let folder: string;
let networks: string[];
beforeAll(async () => {
  await testDevice();
  folder = await mkdtemp(join(tmpdir(), 'evaluate-'));
  const files = { inception: smallInceptionFiles(), clip: smallClipFiles(), lpips: smallLpipsFiles() };
  for (const [name, network] of Object.entries(files)) await writeNetwork(name, network);
  networks = Object.keys(files).flatMap((name) => [`--${name}`, join(folder, name)]);
  for (const [set, shift] of [
    ['good', 0],
    ['bad', 90],
  ] as const)
    for (const [c, category] of ['animals', 'food', 'logo'].entries())
      for (let i = 0; i < 4; i++) await writeNoise(join(folder, set, category, `${i}.png`), { seed: 4 * c + i, shift });
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

async function writeNetwork(name: string, files: NetworkFiles): Promise<void> {
  await mkdir(join(folder, name));
  for (const [file, bytes] of files) await writeFile(join(folder, name, file), bytes);
}

async function writeNoise(
  file: string,
  { seed, shift }: { readonly seed: number; readonly shift: number },
): Promise<void> {
  await mkdir(join(file, '..'), { recursive: true });
  const data = Uint8Array.from(
    { length: 40 * 36 * 3 },
    (_, k) => ((k * (2 * seed + 3) * 37) % 160) + ((k + seed) % 7 ? 0 : shift),
  );
  await sharp(data, { raw: { width: 40, height: 36, channels: 3 } })
    .png()
    .toFile(file);
}

const at = (name: string): string => join(folder, name);

async function evaluate(...args: readonly string[]): Promise<Outcome> {
  return runStar(['evaluate', ...args]);
}

/** A text as a pattern for itself. */
const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');

const readReport = async (out: string): Promise<EvaluationReport> =>
  JSON.parse(await readFile(join(out, 'report.json'), 'utf8')) as EvaluationReport;

const numbersOf = ({ rows }: Pick<EvaluationReport, 'rows'>): Record<string, number> =>
  Object.fromEntries(rows.map(({ id, value }) => [id, value]));

describe('star evaluate on folders', () => {
  it('measures all that was asked for, by category too, and writes a page that stands alone', async () => {
    const metrics = ['--metrics', 'fid,kid,is,pr,psnr,ssim,lpips'];
    const args = ['--samples', at('bad'), '--references', at('good'), ...networks, ...metrics, '--out', at('folders')];
    const { code, stdout, stderr } = await evaluate(...args);
    expect(code, stderr).toBe(0);
    const report = await readReport(at('folders'));
    expect(Object.keys(numbersOf(report))).toEqual([
      'fid',
      'kid',
      'is',
      'precision',
      'recall',
      'psnr',
      'ssim',
      'lpips',
    ]);
    for (const { name, protocol } of report.rows)
      expect(stdout).toMatch(new RegExp(`^\\| ${name} \\| [^|]+ \\| ${escaped(protocol)} \\|$`, 'm'));
    expect(report.rows[0]!.protocol).toContain('12 samples against 12 references');
    expect(report.categories.map(({ name, count }) => [name, count])).toEqual([
      ['animals', 4],
      ['food', 4],
      ['logo', 4],
    ]);
    const html = await readFile(join(at('folders'), 'report.html'), 'utf8');
    // The page is long: a failure should not print it.
    for (const part of ['by category', 'Their references, in the same order'])
      expect(html.includes(part), part).toBe(true);
    expect(/<script|<link|src="(?!data:)/.test(html)).toBe(false);
  });

  it('computes no feature twice, and none of other pictures again', async () => {
    const files = ['features', 'references/features'].map((place) => join(at('folders'), place, 'inception-2048.f32'));
    const before = await Promise.all(files.map((file) => stat(file)));
    const args = [
      '--samples',
      at('bad'),
      '--references',
      at('good'),
      ...networks,
      '--metrics',
      'fid',
      '--out',
      at('folders'),
    ];
    const { code, stderr } = await evaluate(...args);
    expect(code, stderr).toBe(0);
    expect(stderr).not.toContain('Inception features');
    const after = await Promise.all(files.map((file) => stat(file)));
    expect(after.map(({ mtimeMs, size }) => [mtimeMs, size])).toEqual(
      before.map(({ mtimeMs, size }) => [mtimeMs, size]),
    );
    await writeNoise(at('bad/animals/0.png'), { seed: 9, shift: 50 });
    const changed = await evaluate(...args);
    expect(changed.stderr).toContain('Inception features of');
    expect(changed.stderr).toContain('12 of 12');
  });

  it('a set against itself has a distance of zero, from its statistics file as well', async () => {
    const file = at('good.npz');
    const base = ['--inception', at('inception'), '--json'];
    const own = await evaluate(
      '--samples',
      at('good'),
      '--references',
      at('good'),
      ...base,
      '--metrics',
      'fid',
      '--save-statistics',
      file,
    );
    expect(own.code, own.stderr).toBe(0);
    expect((JSON.parse(own.stdout) as { fid: number }).fid).toBeLessThan(1e-6);
    const pictures = await evaluate('--samples', at('bad'), '--references', at('good'), ...base, '--metrics', 'fid');
    const statistics = await evaluate('--samples', at('bad'), '--references', file, ...base, '--metrics', 'fid');
    const [a, b] = [pictures, statistics].map(({ stdout }) => (JSON.parse(stdout) as { fid: number }).fid);
    // The file holds the same float64 numbers.
    expect(b).toBeCloseTo(a!, 9);
    const both = await evaluate('--samples', file, '--references', file, ...base, '--metrics', 'fid');
    expect((JSON.parse(both.stdout) as { fid: number }).fid).toBeLessThan(1e-6);
  });

  it('compares two reports, and says where their protocols differ', async () => {
    const args = ['--references', at('good'), '--inception', at('inception'), '--metrics', 'fid,is'];
    await evaluate('--samples', at('good'), ...args, '--out', at('same'));
    const { code, stdout } = await runStar([
      'evaluate',
      'compare',
      at('folders/report.json'),
      at('same/report.json'),
      '--json',
    ]);
    expect(code).toBe(0);
    const rows = JSON.parse(stdout) as { metric: string; better: string; sameProtocol: boolean }[];
    expect(rows[0]).toMatchObject({ metric: 'FID', better: 'second', sameProtocol: true });
    const none = await runStar(['evaluate', 'compare', at('folders/report.json'), at('inception/config.json')]);
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('must be a report of star evaluate')]);
  });
});

describe('star evaluate without what it needs', () => {
  it.each([
    [['--samples', 'good', '--metrics', 'fid'], 'https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights'],
    [
      ['--samples', 'good', '--references', 'good', '--inception', 'good'],
      'must name a folder with model.safetensors, got',
    ],
    [['--samples', 'nowhere'], 'nowhere, which is not there.'],
    [['--samples', 'inception'], 'error: evaluate: --samples must hold PNG, JPEG or WebP pictures, got none in'],
  ])('%j says what is missing, and where it is', async (args, message) => {
    const { code, stdout, stderr } = await runStar(['evaluate', ...args], folder);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(message);
    expect(stderr.match(/^error: /gm)).toHaveLength(1);
  });
});

describe('star evaluate that draws', () => {
  const prompts = ['red apple', 'lemon', 'pear', 'cherries', 'watermelon', 'grapes'];
  const batch = ['--batch', '1', '--seed', '3'];
  const filesIn = async (where: string): Promise<string[]> =>
    (await readdir(where, { recursive: true })).filter((file) => file.endsWith('.png')).sort();

  it('goes on behind a kill: nothing is redone, and the pictures are those of a run without', async () => {
    await writeFile(at('prompts.txt'), prompts.join('\n'));
    const args = ['evaluate', '--prompts', at('prompts.txt'), ...batch, '--out'];
    const child = startStar([...args, at('killed')]);
    const closed = once(child, 'close');
    const pictures = at('killed/pictures');
    while ((await filesIn(pictures).catch(() => [])).length < 2) await sleep(20);
    child.kill('SIGKILL');
    await closed;
    const early = await filesIn(pictures);
    expect(early.length).toBeLessThan(6);
    const before = await Promise.all(early.map(async (file) => (await stat(join(pictures, file))).mtimeMs));
    const second = await runStar([...args, at('killed')]);
    expect(second.code, second.stderr).toBe(0);
    expect(await Promise.all(early.map(async (file) => (await stat(join(pictures, file))).mtimeMs))).toEqual(before);
    expect((await runStar([...args, at('whole')])).code).toBe(0);
    const all = await filesIn(pictures);
    expect(all).toEqual(prompts.map((_, i) => `0000${i}.png`));
    for (const file of all)
      expect(await readFile(join(pictures, file))).toEqual(await readFile(join(at('whole/pictures'), file)));
  }, 240_000);

  it('refuses to mix a run with another', async () => {
    const { code, stderr } = await evaluate(
      '--prompts',
      at('prompts.txt'),
      '--batch',
      '1',
      '--seed',
      '4',
      '--out',
      at('whole'),
    );
    expect(code).toBe(1);
    expect(stderr).toContain('of a run that differs in seeds. Choose another folder, or delete it.');
    expect((await filesIn(at('whole/pictures'))).length).toBe(6);
  });

  it('takes no picture that it finds for its own', async () => {
    await mkdir(at('foreign/pictures'), { recursive: true });
    await writeFile(at('foreign/pictures/00000.png'), 'mine');
    const { code, stderr } = await evaluate('--prompts', at('prompts.txt'), '--out', at('foreign'));
    expect(code).toBe(1);
    expect(stderr).toContain(`got ${at('foreign')} with 1 entries of another origin in pictures/.`);
    expect(await readFile(at('foreign/pictures/00000.png'), 'utf8')).toBe('mine');
  });

  it('says what a folder of pictures is not, where a pack is wanted', async () => {
    const { code, stderr } = await evaluate('--pack', at('good'));
    expect(code).toBe(1);
    expect(stderr).toContain(`--pack must name a pack, got the folder ${at('good')}. Make a pack of it by star pack`);
  });

  it('measures MJHQ-30K by category, and several guidances against each other', async () => {
    const entries = ['animals', 'food', 'logo'].flatMap((category) =>
      [0, 1].map((i) => [`${category}${i}`, { category, prompt: `${prompts[i]} ${category}` }]),
    );
    await writeFile(at('meta_data.json'), JSON.stringify(Object.fromEntries(entries)));
    const args = ['--prompts', at('meta_data.json'), '--references', at('good'), ...networks, '--metrics', 'fid,clip'];
    const { code, stdout, stderr } = await evaluate(...args, '--cfg-sweep', '1,3', '--out', at('mjhq'), '--json');
    expect(code, stderr).toBe(0);
    const { guidances } = JSON.parse(stdout) as { guidances: { guidance: number; fid: number; clip: number }[] };
    expect(guidances.map(({ guidance }) => guidance)).toEqual([1, 3]);
    expect(guidances.every(({ fid, clip }) => fid > 0 && Math.abs(clip) <= 1)).toBe(true);
    const report = await readReport(at('mjhq'));
    expect(report.categories.map(({ name, rows }) => [name, rows.map(({ id }) => id)])).toEqual(
      ['animals', 'food', 'logo'].map((name) => [name, ['fid', 'clip']]),
    );
    expect(report.categories[0]!.rows[0]!.protocol).toContain('2 samples against 4 references');
    expect(await filesIn(at('mjhq/cfg-3/pictures'))).toEqual(
      entries.map(([name]) => `${String(name).slice(0, -1)}/${String(name)}.png`),
    );
    expect((await readFile(join(at('mjhq'), 'report.html'), 'utf8')).includes('against guidance')).toBe(true);
  }, 240_000);

  it('writes GenEval and DPG-Bench as their scorers read them', async () => {
    const line = '{"tag": "single_object", "include": [{"class": "apple", "count": 1}], "prompt": "red apple"}';
    await writeFile(at('metadata.jsonl'), `${line}\n`);
    const geneval = await evaluate('--prompts', at('metadata.jsonl'), '--out', at('geneval'));
    expect(geneval.code, geneval.stderr).toBe(0);
    expect(await filesIn(at('geneval/pictures'))).toEqual([0, 1, 2, 3].map((k) => `00000/samples/0000${k}.png`));
    expect(await readFile(at('geneval/pictures/00000/metadata.jsonl'), 'utf8')).toBe(line);
    expect((await readReport(at('geneval'))).notes.join()).toContain("benchmark's own scorer");
    await mkdir(at('dpg'));
    await writeFile(at('dpg/one.txt'), 'lemon');
    const dpg = await evaluate('--prompts', at('dpg'), '--out', at('dense'));
    expect(dpg.code, dpg.stderr).toBe(0);
    const { width, height } = await sharp(at('dense/pictures/grids/one.png')).metadata();
    expect([width, height]).toEqual([128, 128]);
  }, 240_000);

  it('on a pack measures reconstruction and retrieval without any weights, and the rest with some', async () => {
    for (const [i, prompt] of prompts.entries()) await writeFile(at(`good/animals/${i}.txt`), prompt);
    await runStar(['pack', at('good/animals'), '--out', at('animals.lmdb')]);
    const plain = await evaluate('--pack', at('animals.lmdb'), '--take', '3', '--json');
    expect(plain.code, plain.stderr).toBe(0);
    const found = JSON.parse(plain.stdout) as Record<string, number>;
    expect(Object.keys(found)).toEqual([
      'adapter',
      'pictures',
      'seed',
      'top1',
      'top5',
      'psnr',
      'ssim',
      'codes',
      'perplexity',
    ]);
    expect([found['pictures'], found['seed'], found['top5']]).toEqual([3, 1, 1]);
    expect(plain.stderr).toContain(
      'left out: fid, kid, is, pr (want --inception); clip (want --clip); lpips (want --lpips).',
    );
    const all = await evaluate('--pack', at('animals.lmdb'), ...networks, '--json');
    expect(all.code, all.stderr).toBe(0);
    expect(Object.keys(JSON.parse(all.stdout) as object)).toEqual(
      expect.arrayContaining([
        'fid',
        'kid',
        'is',
        'precision',
        'recall',
        'clip',
        'psnr',
        'ssim',
        'lpips',
        'codes',
        'top1',
      ]),
    );
  }, 240_000);
});
