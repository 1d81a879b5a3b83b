import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modelUrl } from '@star-webgpu/model-emoji';
import { readSafetensors, writeSafetensors } from '@star-webgpu/tensor-webgpu';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packSquares } from './testing/pack-squares.ts';
import { outcomeOf, runStar, starCommand, startStar } from './testing/run-star.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-cli-'));
});
afterAll(() => rm(folder, { recursive: true }));

const escape = String.fromCharCode(27);

describe('star', () => {
  it.each([
    'sample',
    'edit',
    'pack',
    'export',
    'data',
    'tokenize',
    'train',
    'evaluate',
    'convert',
    'inspect',
    'doctor',
    'bench',
  ])('%s --help shows an example', async (name) => {
    const { code, stdout } = await runStar([name, '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Usage: star /);
    expect(stdout).toContain(`star ${name}`);
    expect(stdout).toMatch(/Examples?:\n/);
  });

  it('prints its version', async () => {
    const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await runStar(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n` });
  });

  it.each([
    [['nosuch'], /unknown command 'nosuch'/],
    [['sample', '--nosuch'], /unknown option '--nosuch'/],
    [
      ['sample', 'x', '--seed', 'abc'],
      /'--seed <number>' argument 'abc' is invalid\. It must be a whole number from 0\./,
    ],
    [
      ['sample', 'x', '--count', '0'],
      /'--count <number>' argument '0' is invalid\. It must be a whole number from 1\./,
    ],
    [['sample', 'x', '--top-p', '2'], /'--top-p <share>' argument '2' is invalid\. It must be a number from 0 to 1\./],
    [['sample', 'x', '--cfg', '1,,2'], /'--cfg <strength>' argument '1,,2' is invalid\. It must be a number/],
    [['sample', 'x', '--cfg-schedule', 'square'], /Allowed choices are linear, constant\./],
    [['edit', 'x', '--image', 'a.png', '--box', '1,2'], /It must be four whole numbers with commas between\./],
    [['edit', 'x'], /required option '--image <file>' not specified/],
    [['pack', 'x'], /required option '--out <file>' not specified/],
  ])('%j is a wrong usage: exit code 2 and what is wrong', async (args, message) => {
    const { code, stdout, stderr } = await runStar(args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
  });
});

describe('star sample', () => {
  const prompts = ['red apple', '', 'ein 苹果 🍎 nobody knows', 'x'.repeat(10_000)];

  it('draws any prompt: an empty, an unknown and a very long one; the same seed gives the same files', async () => {
    await writeFile(join(folder, 'prompts.txt'), prompts.filter(Boolean).join('\n'));
    const args = ['sample', '--prompts', join(folder, 'prompts.txt'), '--json', '--out'];
    const first = await runStar([...args, join(folder, 'first')]);
    expect(first.code, first.stderr).toBe(0);
    expect(first.stdout + first.stderr).not.toContain(escape);
    const { files } = JSON.parse(first.stdout) as { files: string[] };
    expect(files.length).toBe(3);
    expect(first.stderr.match(/"x{60} …" is longer than 24 tokens; not seen: "x+ … x+"/g)).toHaveLength(1);
    expect(first.stderr).not.toContain('"red apple" is longer');
    for (const file of files) {
      const { format, width, height } = await sharp(file).metadata();
      expect([format, width, height]).toEqual(['png', 64, 64]);
    }
    const second = await runStar([...args, join(folder, 'second')]);
    const { files: again } = JSON.parse(second.stdout) as { files: string[] };
    for (const [i, file] of files.entries()) expect(await readFile(file)).toEqual(await readFile(again[i]!));
  });

  it('prints the path alone, a line a scale beside it, and draws without a prompt', async () => {
    const { code, stdout, stderr } = await runStar(['sample', '--out', folder, '--strip', '--seed', '3']);
    expect(code, stderr).toBe(0);
    expect(stdout.trim().split('\n')).toEqual([join(folder, 'picture-3.png'), join(folder, 'picture-3-scales.png')]);
    expect(stderr).toMatch(/ {2}scale 1 of \d: 1 x 1 tokens, \d+\.\d\d s/);
  });

  it('draws pictures of a ratio, in a grid too', async () => {
    const args = [
      'sample',
      'red apple',
      '--ratio',
      '16:9',
      '--out',
      join(folder, 'wide'),
      '--strip',
      '--grid',
      '--json',
    ];
    const { code, stdout, stderr } = await runStar([...args, '--count', '2']);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/ {2}scale 7 of 7: 11 x 6 tokens, \d+\.\d\d s/);
    const { files } = JSON.parse(stdout) as { files: string[] };
    const sizes = await Promise.all(
      files.map(async (file) => (({ width, height }) => [width, height])(await sharp(file).metadata())),
    );
    // pictures of 88 x 48 pixels with gaps of 4: a strip of seven scales for each, then a grid of two
    expect(sizes).toEqual([
      [7 * 92 + 4, 56],
      [7 * 92 + 4, 56],
      [2 * 92 + 4, 56],
    ]);
    const refused = await runStar(['sample', 'red apple', '--ratio', '5:1']);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('Allowed choices are 1:1, 4:3, 3:4, 3:2, 2:3, 16:9, 9:16.');
  });

  it('prints where the time went and writes a trace when asked to', async () => {
    const trace = join(folder, 'trace.json');
    const { code, stderr } = await runStar(['sample', 'pear', '--out', folder], folder, { STAR_PROFILE: trace });
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/^gemm-\w+ +\d+\.\d\d +\d+\.\d% +\d+ +\d+\.\d +\d+\.\d$/m);
    type Events = { dur: number; args: { workgroups: number } }[];
    const { traceEvents } = JSON.parse(await readFile(trace, 'utf8')) as { traceEvents: Events };
    expect(stderr).toContain(`${traceEvents.length} dispatches in `);
    expect(traceEvents.every(({ dur, args }) => dur >= 0 && args.workgroups >= 1)).toBe(true);
  });

  it('draws maps of the attention that words get, with their numbers, and names a word that the prompt lacks', async () => {
    const args = ['sample', 'hot dog', '--out', folder, '--attention', 'dog', '--attention', 'hot', '--seed', '8,9'];
    const { code, stdout, stderr } = await runStar([...args, '--batch', '2', '--attention-blocks', '1,2']);
    expect(code, stderr).toBe(0);
    const stems = [8, 9].map((seed) => join(folder, `hot-dog-${seed}`));
    const ends = ['.png', '-attention-dog.png', '-attention-hot.png', '-attention.json'];
    expect(stdout.trim().split('\n')).toEqual(stems.flatMap((stem) => ends.map((end) => `${stem}${end}`)));
    const { width, height } = await sharp(`${stems[0]}-attention-dog.png`).metadata();
    expect([width, height]).toEqual([8 * 132 + 4, 136]);
    type Maps = { word: string; scales: { width: number; height: number; shares: number[] }[] }[];
    const [dog, hot] = JSON.parse(await readFile(`${stems[1]}-attention.json`, 'utf8')) as Maps;
    expect([dog!.word, hot!.word]).toEqual(['dog', 'hot']);
    expect(dog!.scales.map((scale) => scale.shares.length)).toEqual([1, 4, 9, 16, 25, 36, 64]);
    expect(dog!.scales.flatMap(({ shares }) => shares).every((share) => share > 0 && share < 1)).toBe(true);
    const lacking = await runStar(['sample', 'hot dog', '--out', folder, '--attention', 'cat']);
    expect([lacking.code, lacking.stderr]).toEqual([1, expect.stringContaining('"cat", not seen in "hot dog"')]);
    const wrong = await runStar(['sample', 'hot dog', '--attention', 'dog', '--attention-heads', 'x']);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('It must be a whole number from 0.')]);
  });

  it('names every tensor of a model that is missing, misshapen or unknown', async () => {
    const model = join(folder, 'faulty');
    await cp(fileURLToPath(modelUrl), model, { recursive: true });
    const file = join(model, 'star/model.safetensors');
    const tensors = new Map(readSafetensors(await readFile(file)));
    const [missing, misshapen] = [...tensors.keys()].filter((name) => name.startsWith('blocks.0')) as [string, string];
    tensors.set('surprise', tensors.get(missing)!);
    tensors.delete(missing);
    const { shape, ...rest } = tensors.get(misshapen)!;
    tensors.set(misshapen, { ...rest, shape: [...shape, 1] });
    await writeFile(file, writeSafetensors(tensors));
    const { code, stderr } = await runStar(['sample', 'red apple', '--model', model]);
    expect(code).toBe(1);
    for (const name of ['surprise', missing, misshapen]) expect(stderr).toContain(name);
    expect(stderr.match(/^error: /gm)).toHaveLength(1);
  });

  it('names a file that is cut off, and a folder that is none', async () => {
    const model = join(folder, 'short');
    await cp(fileURLToPath(modelUrl), model, { recursive: true });
    await truncate(join(model, 'vqvae/model.safetensors'), 5000);
    const short = await runStar(['sample', 'red apple', '--model', model]);
    expect([short.code, short.stderr]).toEqual([1, expect.stringMatching(/^error: .*safetensors/m)]);
    const none = await runStar(['sample', 'red apple', '--model', join(folder, 'nowhere')]);
    expect([none.code, none.stderr]).toEqual([1, expect.stringMatching(/^error: .*nowhere/m)]);
  });

  it('draws several at once as one by one, takes lists a scale and seeds, and skips remarks of a file', async () => {
    const file = join(folder, 'three.txt');
    await writeFile(file, '# remarks do not count\nred apple\r\n\nlemon\n');
    const flags = [
      '--prompts',
      file,
      '--seed',
      '5,9',
      '--cfg',
      '0,0,1,1,1,1,2',
      '--cfg-until',
      '4',
      '--temperature',
      '0.8',
    ];
    const [one, batch] = [join(folder, 'one'), join(folder, 'batch')];
    for (const [out, size] of [
      [one, '1'],
      [batch, '4'],
    ] as const) {
      const { code, stderr } = await runStar(['sample', ...flags, '--batch', size, '--out', out]);
      expect(code, stderr).toBe(0);
    }
    const names = ['lemon-5.png', 'lemon-9.png', 'red-apple-5.png', 'red-apple-9.png'];
    expect((await readdir(batch)).toSorted()).toEqual(names);
    for (const name of names) expect(await readFile(join(batch, name))).toEqual(await readFile(join(one, name)));
  });

  it('refuses lists of another length than the model has scales, naming all', async () => {
    const { code, stderr } = await runStar(['sample', 'x', '--cfg', '1,2', '--top-k', '3,4,5']);
    expect(code).toBe(1);
    expect(stderr).toContain(
      '2 numbers of guidance instead of 7, one a scale; 3 numbers of topK instead of 7, one a scale',
    );
  });

  it('draws the way between two prompts, and a file a scale', async () => {
    const out = join(folder, 'between');
    const args = ['sample', 'red apple', '--between', 'lemon', '--steps', '2', '--previews', '--out', out];
    expect((await runStar(args)).code).toBe(0);
    const files = (await readdir(out)).toSorted();
    expect(files).toHaveLength(2 * 8);
    const plain = join(folder, 'plain');
    await runStar(['sample', 'lemon', '--out', plain]);
    expect(await readFile(join(out, 'red-apple-to-lemon-42-1.png'))).toEqual(
      await readFile(join(plain, 'lemon-42.png')),
    );
    expect(files).toContain('red-apple-to-lemon-42-0-scale-7.png');
  });
});

describe('star edit', () => {
  const pixelsOf = async (file: string): Promise<{ data: Buffer; width: number; height: number }> => {
    const { data, info } = await sharp(file).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    return { data, width: info.width, height: info.height };
  };

  it('draws in a box and leaves every pixel outside it, whatever size and kind the picture has', async () => {
    const image = join(folder, 'wide.png');
    await sharp({ create: { width: 100, height: 60, channels: 4, background: { r: 200, g: 40, b: 30, alpha: 0.5 } } })
      .png()
      .toFile(image);
    const out = join(folder, 'edited');
    const args = ['edit', 'lemon', '--image', image, '--box', '10,10,50,30', '--count', '2', '--json', '--out', out];
    const { code, stdout, stderr } = await runStar(args);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain("the picture of 100 x 60 is edited at the model's 64 x 64");
    const { files } = JSON.parse(stdout) as { files: string[] };
    const [first, second] = await Promise.all(files.map(pixelsOf));
    expect([first!.width, first!.height]).toEqual([100, 60]);
    const flat = [228, 148, 143];
    for (let i = 0; i < first!.data.length; i++) {
      const [x, y] = [Math.floor(i / 3) % 100, Math.floor(i / 300)];
      const inside = x >= 10 && x < 60 && y >= 10 && y < 40;
      if (!inside) expect(Math.abs(first!.data[i]! - flat[i % 3]!)).toBeLessThanOrEqual(1);
    }
    expect(first!.data).not.toEqual(second!.data);
  });

  it('draws around a picture on a larger canvas, by a mask, and variations', async () => {
    const image = join(folder, 'square.png');
    await sharp({ create: { width: 64, height: 64, channels: 3, background: '#fff' } })
      .png()
      .toFile(image);
    const mask = join(folder, 'mask.png');
    await sharp({ create: { width: 64, height: 64, channels: 3, background: '#000' } })
      .composite([{ input: { create: { width: 20, height: 64, channels: 3, background: '#fff' } }, left: 0, top: 0 }])
      .png()
      .toFile(mask);
    const ways = [
      ['--outpaint', '16,0,8,4'],
      ['--mask', mask, '--feather', '--no-paste'],
      ['--variation', '4'],
    ];
    for (const [i, way] of ways.entries()) {
      const out = join(folder, `way-${i}`);
      const { code, stderr } = await runStar(['edit', 'red apple', '--image', image, ...way, '--out', out]);
      expect(code, stderr).toBe(0);
      const { width, height } = await pixelsOf(join(out, 'red-apple-edit-42.png'));
      expect([width, height]).toEqual(i === 0 ? [88, 68] : [64, 64]);
    }
  });

  it.each([
    [['--box', '200,0,9,9'], 'the box must touch the picture of 64 x 64 pixels, got 200,0,9,9'],
    [[], 'one of --mask, --box and --outpaint, or else --variation, must say what to draw anew'],
    [['--box', '0,0,9,9', '--outpaint', '1,1,1,1'], 'one of --mask, --box and --outpaint'],
  ])('%j is refused with what is wrong', async (args, message) => {
    const image = join(folder, 'square.png');
    const { code, stderr } = await runStar(['edit', 'x', '--image', image, ...args]);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });

  it('refuses a mask that leaves nothing of the picture', async () => {
    const [image, mask] = [join(folder, 'square.png'), join(folder, 'white.png')];
    await sharp({ create: { width: 64, height: 64, channels: 3, background: '#fff' } })
      .png()
      .toFile(mask);
    const { code, stderr } = await runStar(['edit', 'x', '--image', image, '--mask', mask]);
    expect(code).toBe(1);
    expect(stderr).toContain('the mask must be black where the picture stays, got only white. Paint a part black.');
  });

  it('refuses what is no picture by its name', async () => {
    const file = join(folder, 'no-picture.png');
    await writeFile(file, 'words');
    const { code, stderr } = await runStar(['edit', 'x', '--image', file, '--variation', '1']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/no-picture\.png must be a picture that can be read, got /);
  });
});

/** Pictures of noise with a caption each, and what spoils a folder: a broken picture and a caption without one. */
async function writePictures(where: string): Promise<void> {
  await mkdir(where, { recursive: true });
  for (let i = 0; i < 4; i++) {
    const data = Uint8Array.from({ length: 16 * 16 * 3 }, (_, k) => (k * (i + 3) * 37) % 256);
    await sharp(data, { raw: { width: 16, height: 16, channels: 3 } })
      .png()
      .toFile(join(where, `${i}.png`));
    await writeFile(join(where, `${i}.txt`), `picture number ${i}`);
  }
  await writeFile(join(where, 'broken.png'), 'this is no picture');
  await writeFile(join(where, 'broken.txt'), 'broken');
}

describe('star bench', () => {
  it('plans the published sizes without running them: memory within reach, parameters as published', async () => {
    const { code, stdout, stderr } = await runStar(['bench', '--plan', '--json']);
    expect(code, stderr).toBe(0);
    const { works } = JSON.parse(stdout) as { works: { work: string; bytes: Record<string, number> }[] };
    const totalOf = (name: RegExp): number =>
      Object.values(works.find(({ work }) => name.test(work))!.bytes).reduce((sum, bytes) => sum + bytes, 0);
    expect(works[0]!.bytes['weights']! / 4e6).toBeCloseTo(275, -1);
    // f16: d30 has about 1.68 billion parameters, the VQVAE about 0.11 billion
    const { bytes } = works.find(({ work }) => work.includes('picture of star-1024-d30'))!;
    expect(bytes['transformer weights']! / 2e9).toBeCloseTo(1.68, 1);
    expect(bytes['VQVAE weights']! / 2e9).toBeCloseTo(0.11, 2);
    expect(totalOf(/training step of star-256-d16/)).toBeLessThan(10e9);
    expect(totalOf(/picture of star-1024-d30/)).toBeLessThan(12e9);
  });
});

describe('star pack', () => {
  it('makes the folder of the pack, packs what is whole and names what is not', async () => {
    await writePictures(join(folder, 'pictures'));
    const { code, stdout, stderr } = await runStar([
      'pack',
      join(folder, 'pictures'),
      '--out',
      join(folder, 'new folder', 'a.lmdb'),
      '--json',
    ]);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      packed: 4,
      refused: [{ file: expect.stringContaining('broken.png') as string }],
    });
    expect(stderr).toMatch(/refused .*broken\.png: /);
  });

  it('names pictures that a caption file promises and that are not there', async () => {
    const table = join(folder, 'pictures', 'table.tsv');
    await writeFile(table, 'file\tcaption\n0.png\tfirst\nnone.png\tmissing\n');
    const { stdout, stderr } = await runStar(['pack', table, '--out', join(folder, 'b.lmdb'), '--json']);
    expect(stderr).toMatch(/refused .*none\.png: /);
    expect(JSON.parse(stdout)).toMatchObject({ packed: 1 });
  });

  it('packs in files of so many pictures what the filters leave', async () => {
    const pictures = join(folder, 'pictures');
    await writeFile(join(folder, 'scores.json'), JSON.stringify({ 0: 5, 1: 6, 2: 4.9, 3: 7 }));
    await writeFile(join(folder, 'not.txt'), '3\r\n');
    const out = join(folder, 'filtered.lmdb');
    const filters = [
      '--scores',
      join(folder, 'scores.json'),
      '--min-score',
      '5',
      '--except-keys',
      join(folder, 'not.txt'),
    ];
    const args = ['pack', pictures, '--out', out, '--shard-size', '1', '--min-side', '16', '--max-aspect', '1'];
    const { code, stdout, stderr } = await runStar([...args, ...filters, '--json']);
    expect(code, stderr).toBe(0);
    const { packed, refused } = JSON.parse(stdout) as { packed: number; refused: { file: string; reason: string }[] };
    expect(packed).toBe(2);
    expect(refused.map(({ file, reason }) => `${file}: ${reason}`)).toEqual([
      '2.png: its score of 4.9 is below 5',
      '3.png: its key is among those to leave out',
      'broken.png: it has no score',
    ]);
    const half = await runStar([...args, '--min-score', '5']);
    expect([half.code, half.stderr]).toEqual([
      1,
      'error: pack: --scores and --min-score must be given together, got one. Add the other.\n',
    ]);
  });

  it('exports a pack as tar shards, which can be packed again', async () => {
    const shards = join(folder, 'shards');
    const pack = join(folder, 'new folder', 'a.lmdb');
    const first = await runStar(['export', pack, '--out', shards, '--shard-size', '3', '--json']);
    expect(first.code, first.stderr).toBe(0);
    expect(JSON.parse(first.stdout)).toEqual({
      pictures: 4,
      shards: [join(shards, 'a-000000.tar'), join(shards, 'a-000001.tar')],
    });
    const again = await runStar(['pack', shards, '--out', join(folder, 'again.lmdb'), '--json']);
    expect(JSON.parse(again.stdout)).toMatchObject({ packed: 4, refused: [] });
    const twice = await runStar(['export', pack, '--out', shards]);
    expect(twice.code).toBe(1);
    expect(twice.stderr).toContain(`shards must not be there yet, got ${join(shards, 'a-000000.tar')}.`);
  });

  it('leaves the pack that was there whole when no more can be written', async () => {
    const file = join(folder, 'new folder', 'a.lmdb');
    const before = await readFile(file);
    const big = join(folder, 'big');
    await mkdir(big);
    for (let i = 0; i < 6; i++) {
      const data = randomBytes(512 * 512 * 3);
      await sharp(data, { raw: { width: 512, height: 512, channels: 3 } })
        .png()
        .toFile(join(big, `${i}.png`));
      await writeFile(join(big, `${i}.txt`), 'noise');
    }
    const star = starCommand(['pack', big, '--out', file]);
    const limited = spawn('bash', ['-c', `trap '' XFSZ; ulimit -f 1000; exec "$@"`, 'bash', ...star]);
    const { code, stderr } = await outcomeOf(limited);
    expect(code).toBe(1);
    expect(stderr.match(/^error: /gm)).toHaveLength(1);
    expect(stderr).toContain('a.lmdb');
    expect(await readFile(file)).toEqual(before);
  });
});

describe('star train', () => {
  beforeAll(async () => {
    await writePictures(join(folder, 'to train on'));
    await runStar(['pack', join(folder, 'to train on'), '--out', join(folder, 'train.lmdb')]);
  });

  const config = {
    stage: 'vqvae',
    seed: 1,
    data: { packs: ['train.lmdb'], size: 16 },
    vqvae: {
      channels: 4,
      channelMultipliers: [1, 1],
      residualBlocks: 1,
      attention: false,
      normGroups: 2,
      codebookSize: 16,
      codeWidth: 4,
      patchNumbers: [1, 3, 8],
      phis: 2,
      phiShare: 0.5,
      beta: 0.25,
      cosineLookup: false,
    },
    training: {
      batch: 2,
      steps: 40,
      learningRate: 0.001,
      warmupSteps: 2,
      schedule: 'cos',
      finalRate: 0.1,
      weightDecay: 0,
      clipNorm: 1,
      saveEvery: 100,
      keepCheckpoints: 2,
    },
    loss: { absoluteWeight: 1, quantizeWeight: 0.25, reviveEvery: 0, reviveUntil: 0 },
  };

  it('lists three faults of a config at once and leaves the run that was there alone', async () => {
    const run = join(folder, 'run');
    await mkdir(run);
    await writeFile(join(run, 'config.json'), 'precious');
    const faulty = { ...config, seed: 'one', training: { ...config.training, batch: 0, schedule: 'steep' } };
    await writeFile(join(folder, 'faulty.json'), JSON.stringify(faulty));
    const { code, stderr } = await runStar(['train', 'vqvae', '--config', join(folder, 'faulty.json'), '--out', run]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: .*faulty\.json has 3 faults:/);
    for (const path of ['seed: ', 'training.batch: ', 'training.schedule: ']) expect(stderr).toContain(`  ${path}`);
    expect(await readFile(join(run, 'config.json'), 'utf8')).toBe('precious');
  });

  it('trains on pictures of several ratios, measures and shows held-out ones, and refuses a side that is not the VQVAE’s', async () => {
    const shapes = join(folder, 'shapes');
    await mkdir(shapes);
    for (const [i, width] of [16, 28, 30, 15].entries()) {
      const picture = sharp({ create: { width, height: 16, channels: 3, background: { r: 60 * i, g: 0, b: 0 } } });
      await picture.png().toFile(join(shapes, `${i}.png`));
      await writeFile(join(shapes, `${i}.txt`), `number ${i}`);
    }
    await runStar(['pack', shapes, '--out', join(folder, 'shapes.lmdb')]);
    const several = {
      ...config,
      data: { packs: ['shapes.lmdb'], size: 16, ratios: ['1:1', '16:9'] },
      training: { ...config.training, steps: 4, accumulate: 2 },
      evaluation: { every: 3, keysFile: 'held.txt' },
      preview: { every: 4, pictures: 2 },
      histograms: { every: 4 },
    };
    await writeFile(join(folder, 'held.txt'), '0\n1\n');
    await writeFile(join(folder, 'several.json'), JSON.stringify(several));
    const args = ['train', 'vqvae', '--config', 'several.json', '--out', 'several'];
    const { code, stderr } = await runStar(args, folder);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(', 2 pictures\n');
    expect(stderr).toMatch(/^held out at step 4: loss \d.* psnr \d+\.\d+ {2}ssim 0\.\d+$/m);
    const lines = (await readFile(join(folder, 'several/log.jsonl'), 'utf8')).trim().split('\n');
    const evaluated = lines.map((line) => Object.keys((JSON.parse(line) as { evaluation?: object }).evaluation ?? {}));
    const measured = ['loss', 'pixel', 'absolute', 'quantize', 'psnr', 'ssim'];
    expect(evaluated).toEqual([[], [], measured, measured]);
    const shown = await readFile(join(folder, 'several/previews/step-00000004.png'));
    const { width, height } = await sharp(shown).metadata();
    expect([width, height]).toEqual([4 + 2 * 68, 4 + 2 * 68]);
    const events = (await readdir(join(folder, 'several'))).filter((name) => name.includes('tfevents'));
    const written = await readFile(join(folder, 'several', events[0]!));
    expect([events.length, written.includes(shown), written.includes('weights/encoder')]).toEqual([1, true, true]);
    const refused = await runStar([...args.slice(0, -1), 'other', '--set', 'data.size=32'], folder);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(
      "error: data.size must be 16, the last patch number times the VQVAE's downsampling, got 32. Correct data.size, or vqvae.patchNumbers.",
    );
  });

  it('gives a model a refiner, leaves all else of it as it was, and draws with and without it', async () => {
    await packSquares(folder, 'dots', (color) => `a ${color} square`);
    const { training } = config;
    const refiner = {
      stage: 'refiner',
      seed: 1,
      data: { packs: ['dots.lmdb'], size: 64 },
      modelFolder: fileURLToPath(modelUrl),
      refiner: { depth: 1, sampleFrom: 4 },
      training: { ...training, steps: 3 },
      captionDropout: 0.1,
      captions: 'first',
      evaluation: { every: 3, keysFile: 'held-dots.txt', retrieval: true },
    };
    await writeFile(join(folder, 'held-dots.txt'), 'red\nblue\n');
    await writeFile(join(folder, 'refiner.json'), JSON.stringify(refiner));
    const args = ['train', 'refiner', '--config', 'refiner.json', '--out', 'refined'];
    const trained = await runStar(args, folder);
    expect(trained.code, trained.stderr).toBe(0);
    expect(trained.stderr).toMatch(/step 3\/3 {2}loss \d+\.\d+ {2}openCost \d+\.\d+ {2}accuracy \d/);
    expect(trained.stderr).toMatch(/^held out at step 3: loss .* {2}top1 [01]\.[05]000 {2}top5 1\.0000$/m);
    const model = join(folder, 'refined/model');
    const weightsOf = async (from: string, part: string): Promise<ReturnType<typeof readSafetensors>> =>
      readSafetensors(await readFile(join(from, part, 'model.safetensors')));
    for (const part of ['star', 'text', 'vqvae']) {
      const after = await weightsOf(model, part);
      for (const [name, { bytes }] of await weightsOf(fileURLToPath(modelUrl), part))
        expect(Buffer.compare(after.get(name)!.bytes, bytes), `${part} ${name}`).toBe(0);
    }
    expect(await readdir(join(folder, 'refined/checkpoints/step-00000003/model'))).toEqual(['refiner.safetensors']);
    const draw = async (name: string, ...flags: string[]): Promise<Buffer> => {
      const drawn = await runStar(['sample', 'dog', '--model', model, '--out', join(folder, name), ...flags]);
      expect(drawn.code, drawn.stderr).toBe(0);
      return readFile(join(folder, name, 'dog-42.png'));
    };
    const [plain, refined] = [await draw('plain', '--no-refine'), await draw('few', '--refine', 'new')];
    expect(refined).not.toEqual(plain);
    const refused = await runStar(['sample', 'dog', '--refine', 'new', '--out', join(folder, 'refused')]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('got refine {"version":"new"} instead of false, as the model has no refiner.');
  });

  it('saves on Ctrl-C and goes on from there by the same command', async () => {
    await writeFile(join(folder, 'small.json'), JSON.stringify(config));
    const args = ['train', 'vqvae', '--config', 'small.json', '--out', 'small'];
    const child = startStar(args, folder);
    const ended = outcomeOf(child);
    const log = join(folder, 'small/log.jsonl');
    const lines = async (): Promise<string[]> =>
      (await readFile(log, 'utf8').catch(() => '')).split('\n').filter(Boolean);
    while ((await lines()).length < 3) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGINT');
    expect((await ended).code).toBe(130);
    const done = (await lines()).length;
    expect(done).toBeLessThan(40);
    const { code, stderr } = await runStar(args, folder);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`going on from step ${done} of `);
    expect((await lines()).map((line) => (JSON.parse(line) as { step: number }).step)).toEqual(
      Array.from({ length: 40 }, (_, i) => i + 1),
    );
    expect((await readdir(join(folder, 'small/model'))).toSorted()).toEqual(['config.json', 'model.safetensors']);
  });
});
