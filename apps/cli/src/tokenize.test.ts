import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openPack } from '@star-webgpu/data-lmdb';
import { modelUrl } from '@star-webgpu/model-emoji';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, runStar, startStar } from './testing/run-star.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-tokenize-'));
  await writePictures(5);
  await cp(fileURLToPath(modelUrl), join(folder, 'emoji'), { recursive: true });
  await writeFile(join(folder, 'star.json'), JSON.stringify(config));
});
afterAll(() => rm(folder, { recursive: true }));

/** Packs pictures of noise, wide ones among them, with two captions each. */
async function writePictures(count: number, last = 'loud'): Promise<void> {
  const where = join(folder, 'pictures');
  await mkdir(where, { recursive: true });
  for (let i = 0; i < count; i++) {
    const [width, height] = i % 2 ? [24, 16] : [16, 16];
    const data = Uint8Array.from({ length: width * height * 3 }, (_, k) => (k * (i + 3) * 37) % 256);
    await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(join(where, `${i}.png`));
    await writeFile(join(where, `${i}.txt`), `picture number ${i}\nnoise, ${'very '.repeat(i)}${last}`);
  }
  const { code, stderr } = await runStar(['pack', where, '--out', join(folder, 'noise.lmdb')]);
  expect(code, stderr).toBe(0);
}

/** A small transformer on the encoders of the emoji model, which stay as they are. */
const config = {
  stage: 'star',
  seed: 1,
  data: { packs: ['noise.lmdb'], size: 64, ratios: ['1:1', '3:2'] },
  vqvaeFolder: 'emoji/vqvae',
  textFolder: 'emoji/text',
  star: { depth: 1, width: 32, heads: 1, dropPath: 0.1 },
  training: {
    batch: 2,
    steps: 4,
    learningRate: 0.01,
    warmupSteps: 1,
    schedule: 'lin0',
    finalRate: 0.1,
    weightDecay: 0.1,
    clipNorm: 2,
    saveEvery: 2,
    keepCheckpoints: 1,
  },
  captionDropout: 0.3,
  captions: 'random',
  labelSmoothing: 0,
};

/** All arrays of a file of tokens. */
async function arraysOf(name: string): Promise<unknown[]> {
  const pack = await openPack(join(folder, name));
  const kinds = ['about', 'tokens 64x64', 'tokens 56x80', 'caption states', 'caption pooled'];
  const all = kinds.flatMap((kind) => pack.arrayKeys(kind).map((key) => [kind, key, pack.getArray(kind, key)]));
  await pack.close();
  expect(new Set(all.map(([kind]) => kind)).size).toBe(5);
  return all;
}

const star = (args: readonly string[]): ReturnType<typeof runStar> => runStar(args, folder);
const trainTo = (out: string, ...more: string[]): ReturnType<typeof runStar> =>
  star(['train', 'star', '--config', 'star.json', '--out', out, ...more]);
const withTokens = ['--set', 'data.tokens=noise.tokens.lmdb'];

describe('star tokenize', () => {
  it('makes tokens of all pictures and features of all captions and of the empty one', async () => {
    const { code, stdout, stderr } = await star([
      'tokenize',
      '--config',
      'star.json',
      '--out',
      'noise.tokens.lmdb',
      '--json',
    ]);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      path: 'noise.tokens.lmdb',
      pictures: 5,
      captions: 11,
      bytes: (await stat(join(folder, 'noise.tokens.lmdb'))).size,
    });
  });

  it('gives training the same model as pictures and captions do, bit for bit, whole with its encoders', async () => {
    const [pictures, tokens] = [await trainTo('pictures-run'), await trainTo('tokens-run', ...withTokens)];
    expect([pictures.code, tokens.code], pictures.stderr + tokens.stderr).toEqual([0, 0]);
    expect(tokens.stderr).toContain('5 pictures as tokens');
    const files = [
      'star/config.json',
      'star/model.safetensors',
      'vqvae/model.safetensors',
      'text/model.safetensors',
      'text/tokenizer.json',
    ];
    for (const file of files) {
      const bytes = (run: string): Promise<Buffer> => readFile(join(folder, run, 'model', file));
      expect((await bytes('tokens-run')).equals(await bytes('pictures-run')), file).toBe(true);
    }
    const drawn = await star(['sample', 'noise', '--model', 'tokens-run/model', '--out', 'drawn']);
    expect(drawn.code, drawn.stderr).toBe(0);
  });

  it('draws previews and measures held-out pictures while it trains from tokens', async () => {
    const preview = ['--set', 'preview={"every":2,"prompts":["noise"]}'];
    await writeFile(join(folder, 'held.txt'), '1\n2\n');
    const evaluation = ['--set', 'evaluation={"every":3,"keysFile":"held.txt"}'];
    const { code, stderr } = await trainTo('preview-run', ...withTokens, ...preview, ...evaluation);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('3 pictures as tokens');
    // Hardly trained, a codebook of 2048 codes is guessed at.
    const [, loss] = /^held out at step 3: loss (\S+) {2}lastScale \S+ {2}accuracy \S+$/m.exec(stderr)!;
    expect(Math.abs(Number(loss) / Math.log(2048) - 1)).toBeLessThan(0.2);
    expect((await sharp(join(folder, 'preview-run/previews/step-00000002.png')).metadata()).format).toBe('png');
  });

  it('goes on behind an interrupt, and makes the same file then', async () => {
    const more = ['--set', 'training.batch=1', '--out'];
    const whole = await star(['tokenize', '--config', 'star.json', ...more, 'whole.tokens.lmdb']);
    expect(whole.code, whole.stderr).toBe(0);
    const args = ['tokenize', '--config', 'star.json', ...more, 'cut.tokens.lmdb', '--json'];
    const child = startStar(args, folder);
    const ended = outcomeOf(child);
    // The first picture is said at once, the others every ten seconds.
    child.stderr.on('data', (text: string) => text.includes('1 of 5 pictures') && child.kill('SIGINT'));
    expect((await ended).code).toBe(130);
    expect((await readdir(folder)).filter((name) => name.startsWith('cut.tokens.lmdb.parts-'))).toHaveLength(1);
    const { code, stdout, stderr } = await star(args);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/^going on behind [1-5] of 5 pictures$/m);
    expect(JSON.parse(stdout)).toMatchObject({ pictures: 5, captions: 11 });
    expect(await arraysOf('cut.tokens.lmdb')).toEqual(await arraysOf('whole.tokens.lmdb'));
  });

  it('may leave captions to the text encoder', async () => {
    const made = await star(['tokenize', '--config', 'star.json', '--out', 'bare.tokens.lmdb', '--no-text']);
    expect(made.code, made.stderr).toBe(0);
    expect(made.stdout).toMatch(/^bare\.tokens\.lmdb: tokens of 5 pictures, features of 0 captions, /);
    const { code, stderr } = await trainTo('bare-run', '--set', 'data.tokens=bare.tokens.lmdb');
    expect(code, stderr).toBe(0);
    const weights = (run: string): Promise<Buffer> => readFile(join(folder, run, 'model/star/model.safetensors'));
    expect((await weights('bare-run')).equals(await weights('pictures-run'))).toBe(true);
  });

  it('leaves what was there when it fails, and wants a config of a stage that reads tokens', async () => {
    const before = await readFile(join(folder, 'noise.tokens.lmdb'));
    const failed = await star([
      'tokenize',
      '--config',
      'star.json',
      '--out',
      'noise.tokens.lmdb',
      '--set',
      'vqvaeFolder=nowhere',
    ]);
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringMatching(/^error: .*nowhere/m)]);
    expect((await readFile(join(folder, 'noise.tokens.lmdb'))).equals(before)).toBe(true);
    const both = await trainTo(
      'x',
      '--set',
      'text={"layers":1,"width":8,"heads":1,"mlpWidth":8,"positions":8,"vocabSize":514}',
    );
    expect([both.code, both.stderr]).toEqual([
      1,
      expect.stringContaining('text, textFolder: must be given one or the other'),
    ]);
  });

  it('is refused by training with everything in which it differs', async () => {
    await writePictures(6);
    await writeFile(join(folder, 'emoji/text/note.txt'), 'changed');
    const { code, stderr } = await trainTo('refused-run', ...withTokens);
    expect(code).toBe(1);
    expect(stderr).toContain(
      'error: data.tokens must be the tokens of this data by these encoders, got features of another text encoder; ' +
        'tokens of noise (5 pictures); no tokens of 1 pictures; no features of 2 captions in noise.tokens.lmdb. Run star tokenize with this config.',
    );
    const noTokens = await trainTo('refused-run', '--set', 'data.tokens=noise.lmdb');
    expect(noTokens.stderr).toContain('got a pack without tokens in noise.lmdb');
    await rm(join(folder, 'pictures'), { recursive: true });
    await writePictures(5, 'quiet');
    const again = await trainTo('refused-run', ...withTokens);
    expect(again.stderr).toContain('tokens of what noise (5 pictures) held before it was packed again; ');
  });

  it('is no way around what a run has learnt from: other captions or another encoder are refused there too', async () => {
    const { code, stderr } = await trainTo('pictures-run');
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(`error: train: what it learns from must be that of the run in pictures-run, got other pictures or models:
  noise.lmdb: as many pictures as in the run, but others, or with other captions
  text: not the files that it was in the run
Use another folder, or --allow-changes to go on with them.
`),
    ]);
    const allowed = await trainTo('pictures-run', '--allow-changes');
    expect(allowed.code, allowed.stderr).toBe(0);
  });
});
