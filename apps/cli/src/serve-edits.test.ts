import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runStar } from './testing/run-star.ts';
import { ask, eventsOf, type Pictures, startServing } from './testing/serving.ts';

let server: ChildProcessWithoutNullStreams;
let address: string;

beforeAll(async () => {
  [server, address] = await startServing([]);
}, 120_000);

afterAll(() => void server.kill('SIGKILL'));

const draw = (body: unknown): Promise<Response> => ask(`${address}/v1/images`, body);
const edit = (body: unknown): Promise<Response> => ask(`${address}/v1/edits`, body);

describe('pictures that are sent to star serve', () => {
  let folder: string;
  /** A JPEG of an odd size, a mask of it, and the same files on the disk. */
  let image: Buffer;
  let mask: Buffer;
  const base64 = (bytes: Buffer): string => bytes.toString('base64');
  const flat = (width: number, height: number, background: string): Sharp =>
    sharp({ create: { width, height, channels: 3, background } });
  const pathOf = (name: string): string => join(folder, name);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'star-serve-'));
    const leaf = { input: await flat(30, 21, '#2a7').png().toBuffer(), left: 40, top: 20 };
    image = await flat(101, 67, '#e93').composite([leaf]).jpeg().toBuffer();
    const hole = { input: await flat(50, 41, '#fff').png().toBuffer(), left: 21, top: 9 };
    mask = await flat(101, 67, '#000').composite([hole]).png().toBuffer();
    await Promise.all([writeFile(pathOf('image.jpg'), image), writeFile(pathOf('mask.png'), mask)]);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('are edited as star edit does it, to the byte', async () => {
    const image64 = { prompt: 'lemon', seed: 5, image: base64(image) };
    const ways: readonly (readonly [readonly string[], object])[] = [
      [['--mask', pathOf('mask.png'), '--feather', '--count', '2'], { mask: base64(mask), feather: true, count: 2 }],
      [
        ['--outpaint', '7,0,16,5', '--variation', '2', '--no-paste'],
        { outpaint: { left: 7, top: 0, right: 16, bottom: 5 }, keepScales: 2, paste: false },
      ],
    ];
    const results = ways.map(async ([flags, way], i) => {
      const out = ['--seed', '5', '--json', '--out', pathOf(`out-${i}`)];
      const { code, stdout, stderr } = await runStar([
        'edit',
        'lemon',
        '--image',
        pathOf('image.jpg'),
        ...out,
        ...flags,
      ]);
      expect(code, stderr).toBe(0);
      const { files } = JSON.parse(stdout) as { files: string[] };
      const { pictures } = (await (await edit({ ...image64, ...way })).json()) as Pictures;
      const wanted = await Promise.all(files.map(async (file) => base64(await readFile(file))));
      expect(pictures.map(({ png }) => png)).toEqual(wanted);
    });
    await Promise.all(results);
  });

  it('show each scale at the model’s size, and the finished one at their own', async () => {
    const box = { left: 20, top: 9, width: 51, height: 41 };
    const events = await eventsOf(await edit({ prompt: 'lemon', image: base64(image), box, stream: true }));
    const { width, png } = (JSON.parse(events.at(-1)!.data) as Pictures).pictures[0]!;
    const scales = events.filter(({ event }) => event === 'scale');
    const sizes = scales.map(async ({ data }) => {
      const [scale] = (JSON.parse(data) as { pictures: [string] }).pictures;
      return (await sharp(Buffer.from(scale, 'base64')).metadata()).width;
    });
    expect(await Promise.all(sizes)).toEqual(Array<number>(7).fill(64));
    expect([width, (await sharp(Buffer.from(png, 'base64')).metadata()).height]).toEqual([101, 67]);
  });

  it('are refused with what is wrong with them', async () => {
    const whole = base64(image);
    const masks = (bytes: Buffer): object => ({ image: whole, mask: base64(bytes) });
    const svg = Buffer.from(
      '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="/etc/passwd"/></svg>',
    );
    const large = await flat(2049, 2048, '#fff').png().toBuffer();
    const cut = (await flat(101, 67, '#fff').png().toBuffer()).subarray(0, 90);
    const refused: readonly (readonly [object, string])[] = [
      [masks(await flat(100, 67, '#fff').png().toBuffer()), "the picture's 101 x 67 pixels, got 100 x 67."],
      [masks(await flat(101, 67, '#000').png().toBuffer()), 'must be white where to draw, got only black.'],
      [masks(await flat(101, 67, '#fff').png().toBuffer()), 'must be black where the picture stays, got only white.'],
      [masks(Buffer.from('words')), 'the mask must be a PNG or a JPEG, got 5 bytes of something else.'],
      [masks(Buffer.alloc(0)), 'the mask must be a PNG or a JPEG, got 0 bytes of something else.'],
      [masks(cut), 'the mask must be whole, got 90 bytes of damaged or cut off data.'],
      [{ image: base64(svg), keepScales: 1 }, 'the image must be a PNG or a JPEG, got 94 bytes'],
      [{ image: base64(large), keepScales: 1 }, 'the image must have at most 4194304 pixels, got 2049 x 2048.'],
      [{ image: whole, outpaint: { left: 70_000, top: 0, right: 0, bottom: 0 } }, 'the canvas must have at most'],
      [{ image: whole, box: { left: 200, top: 0, width: 9, height: 9 } }, 'the box must touch the picture'],
      [{ image: whole }, 'one of mask, box and outpaint'],
      [{ image: '/etc/passwd!', keepScales: 1 }, 'image: '],
    ];
    for (const [body, fault] of refused) {
      const response = await edit({ prompt: 'lemon', ...body });
      const text = await response.text();
      expect([response.status, text], fault).toEqual([400, expect.stringContaining(fault)]);
    }
    const [failed] = await eventsOf(await edit({ prompt: '', stream: true, ...refused[0]![0] }));
    expect([failed!.event, failed!.data]).toEqual(['failed', expect.stringContaining('got 100 x 67.')]);
    expect((await edit({ prompt: '', image: 'a'.repeat(9 * 2 ** 20) })).status).toBe(413);
  });
});

describe('the attention of words at star serve', () => {
  const order = { prompt: 'clinking beer mugs', seed: 3 };
  interface Attention {
    readonly attention: readonly (readonly { readonly word: string; readonly scales: readonly unknown[] }[])[];
  }

  it('has the numbers of star sample, for each picture and word, in an event before the last', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'star-serve-'));
    const flags = ['--seed', '3', '--attention', 'beer mugs', '--attention', 'clinking', '--out', folder];
    const { code, stderr } = await runStar(['sample', order.prompt, ...flags]);
    expect(code, stderr).toBe(0);
    const wanted: unknown = JSON.parse(await readFile(join(folder, 'clinking-beer-mugs-3-attention.json'), 'utf8'));
    await rm(folder, { recursive: true });
    const asked = { ...order, attention: ['beer mugs', 'clinking'] };
    const plain = (await (await draw(asked)).json()) as Attention & Pictures;
    expect(plain.attention).toEqual([wanted]);
    const events = await eventsOf(await draw({ ...asked, count: 2, stream: true }));
    expect(events.slice(-2).map(({ event }) => event)).toEqual(['attention', 'finished']);
    const { attention } = JSON.parse(events.at(-2)!.data) as Attention;
    expect(attention.map((words) => words.map(({ word, scales }) => [word, scales.length]))).toEqual(
      Array(2).fill([
        ['beer mugs', 7],
        ['clinking', 7],
      ]),
    );
    expect((JSON.parse(events.at(-1)!.data) as Pictures).pictures[0]).toEqual(plain.pictures[0]);
  });

  it('is that of all words where none are named, and names a word that is not there', async () => {
    const { attention } = (await (await draw({ ...order, attention: true })).json()) as Attention;
    expect(attention.map((words) => words.map(({ word }) => word))).toEqual([['clinking', 'beer', 'mugs']]);
    expect(await (await draw({ prompt: '', attention: true })).json()).toMatchObject({ attention: [[]] });
    const wrong = await draw({ ...order, attention: ['wine'] });
    expect([wrong.status, await wrong.text()]).toEqual([400, expect.stringContaining('the watched word \\"wine\\"')]);
  });
});
