import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelUrl } from '@star-webgpu/model-emoji';
import { inceptionConfig, inceptionShapes } from '@star-webgpu/metrics';
import { hostFloats, type HostTensor, hostTensor, readSafetensors } from '@star-webgpu/tensor-webgpu';
import {
  legacyTorchParts,
  torchParts,
  writtenHole,
  WrittenOrdered,
  writtenTensor,
} from '@star-webgpu/tensor-webgpu/testing';
import { patchNumberPresets } from '@star-webgpu/vqvae/scales';
import sharp from 'sharp';
import {
  buffer,
  clipFolder,
  goldenFile,
  holesOf,
  publishedClip,
  publishedLpips,
  publishedStar,
  publishedT5,
  publishedVqvae,
  smallCheckpoint,
  starBuffers,
  t5Folder,
  textFolder,
  trainerCheckpoint,
  writeParts,
  written,
} from './testing/published.ts';
import { outcomeOf, type Outcome, runStar, startStar } from './testing/run-star.ts';

let folder: string;
let star: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-convert-'));
  star = join(folder, 'star.pth');
  await writeParts(star, await smallCheckpoint());
});
afterAll(() => rm(folder, { recursive: true }));

const at = (...path: string[]): string => join(folder, ...path);

async function convert(...args: string[]): Promise<Outcome> {
  const outcome = await runStar(['convert', ...args]);
  expect(outcome.code, outcome.stderr).toBe(0);
  return outcome;
}

const weightsOf = async (path: string): Promise<Map<string, HostTensor>> =>
  readSafetensors(await readFile(join(path, 'model.safetensors')));

/** Whether a tensor holds these values, compared as bytes: a matcher that looks at each would take minutes. */
const sameFloats = (tensor: HostTensor, values: Float32Array): boolean =>
  Buffer.from(hostFloats(tensor).buffer).equals(Buffer.from(values.buffer));

const configOf = async (path: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(join(path, 'config.json'), 'utf8')) as Record<string, unknown>;

describe('star convert', () => {
  it('makes a model that draws from published files: STAR with its refiner and buffers, the VQVAE inside, CLIP text', async () => {
    await convert(star, '--out', at('model/star'), '--sample-from', '2');
    await convert(star, '--kind', 'vqvae', '--patch-numbers', '1,2,4,8', '--out', at('model/vqvae'));
    await textFolder(at('published'));
    await convert(at('published/text_encoder'), '--out', at('model/text'));
    const weights = await weightsOf(at('model/star'));
    const published = await publishedStar();
    expect([...weights.keys()].toSorted()).toEqual([...published.keys()].toSorted());
    for (const [name, { shape, values }] of published) {
      expect(weights.get(name)!.shape).toEqual(shape);
      expect(sameFloats(weights.get(name)!, values)).toBe(true);
    }
    expect(await configOf(at('model/star'))).toMatchObject({
      patchNumbers: [1, 2, 4, 8],
      depth: 3,
      width: 128,
      heads: 2,
      textWidth: 32,
      codeWidth: 8,
      codebookSize: 64,
      crossAttention: 'first-sample',
      refiner: { depth: 3, sampleFrom: 2 },
    });
    const { code, stdout, stderr } = await runStar([
      'sample',
      'a red apple',
      '--model',
      at('model'),
      '--out',
      at('drawn'),
    ]);
    expect(code, stderr).toBe(0);
    const { width, height } = await sharp(stdout.trim()).metadata();
    expect([width, height]).toEqual([128, 128]);
  });

  it('takes the config of a folder of ours, but for what is asked for otherwise', async () => {
    const emoji = fileURLToPath(modelUrl);
    for (const [part, kind] of [
      ['star', 'star'],
      ['vqvae', 'vqvae'],
    ] as const) {
      await convert(emoji, '--kind', kind, '--dtype', 'f16', '--out', at(`emoji/${part}`));
      expect(await configOf(at(`emoji/${part}`))).toEqual(await configOf(join(emoji, part)));
    }
    const asked = ['--cross-attention', 'first-sample', '--patch-numbers', '1,2,3,4,6,8,10'];
    await convert(join(emoji, 'star'), ...asked, '--out', at('emoji/larger'));
    expect(await configOf(at('emoji/larger'))).toEqual({
      ...(await configOf(join(emoji, 'star'))),
      crossAttention: 'first-sample',
      patchNumbers: [1, 2, 3, 4, 6, 8, 10],
    });
  });

  it('keeps numbers as half floats, which load, and says so for machines', async () => {
    const { stdout } = await convert(star, '--no-refiner', '--dtype', 'f16', '--json', '--out', at('half'));
    expect(JSON.parse(stdout)).toMatchObject({
      kind: 'star',
      dtype: 'f16',
      folder: at('half'),
      loaded: expect.any(String),
    });
    const weights = await weightsOf(at('half'));
    const published = await publishedStar();
    expect(weights.has('head_logits2.weight')).toBe(false);
    for (const [name, tensor] of weights) {
      const { values, shape } = published.get(name)!;
      expect([tensor.dtype, tensor.shape]).toEqual(['F16', shape]);
      expect(Buffer.compare(tensor.bytes, hostTensor(values, shape, 'F16').bytes)).toBe(0);
    }
  });

  it('names every missing, unexpected and misshapen tensor in one error, and writes nothing', async () => {
    const broken = written(await publishedStar(), { 'blocks.0.surprise': buffer(2), freqs_cis: buffer(2) });
    broken.delete('head_proj.bias');
    broken.delete('blocks.2.ffn.fc1.weight');
    broken.set('blocks.1.attn.proj.weight', buffer(128, 127));
    await writeParts(at('broken.pth'), torchParts(trainerCheckpoint(broken, { patchNumbers: [1, 2, 4, 8] })));
    const { code, stderr } = await runStar([
      'convert',
      at('broken.pth'),
      '--sample-from',
      '2',
      '--out',
      at('broken/star'),
    ]);
    expect(code).toBe(1);
    expect(stderr).toContain(
      'error: STAR transformer: weights must match the model. missing: blocks.2.ffn.fc1.weight, head_proj.bias; unexpected: blocks.0.surprise; misshapen: blocks.1.attn.proj.weight ([128,127] instead of [128,128]).',
    );
    expect(stderr.match(/^error: /gm)).toHaveLength(1);
    expect(existsSync(at('broken'))).toBe(false);
  });

  it('reads names that DistributedDataParallel and torch.compile changed, and a bare state_dict', async () => {
    const renamed = new WrittenOrdered(
      [...written(await publishedStar(), starBuffers(3, 128))].map(([name, tensor]) => [
        `module.${name.replace(/^blocks\.\d\./, (block) => `${block}_orig_mod.`)}`,
        tensor,
      ]),
    );
    await writeParts(at('renamed.pth'), torchParts(renamed));
    const args = ['--patch-numbers', '1,2,4,8', '--sample-from', '2', '--no-load'];
    await convert(at('renamed.pth'), ...args, '--out', at('renamed'));
    await convert(star, ...args, '--out', at('plain'));
    const [renamedBytes, plainBytes] = [
      await readFile(at('renamed/model.safetensors')),
      await readFile(at('plain/model.safetensors')),
    ];
    expect(renamedBytes.equals(plainBytes)).toBe(true);
    const unknown = await runStar(['convert', at('renamed.pth'), '--out', at('unknown')]);
    expect([unknown.code, unknown.stderr]).toEqual([
      1,
      expect.stringContaining(
        'patch numbers must be known, got a file with 4 scales and no list of them. Say --resolution',
      ),
    ]);
  });

  it('leaves a folder that is there alone unless told to replace it', async () => {
    const args = ['convert', star, '--no-refiner', '--no-load', '--out'];
    await convert(star, '--no-refiner', '--no-load', '--out', at('there'));
    const before = await readFile(at('there/model.safetensors'));
    const again = await runStar([...args, at('there'), '--dtype', 'f16']);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('must be empty, got 2 files. Say --force')]);
    expect((await readFile(at('there/model.safetensors'))).equals(before)).toBe(true);
    expect((await runStar([...args, at('there'), '--dtype', 'f16', '--force'])).code).toBe(0);
    expect((await readFile(at('there/model.safetensors'))).length).toBeLessThan(before.length);
    expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('refuses a file that would run a command, and runs nothing', async () => {
    await writeFile(at('evil.pth'), await goldenFile('tensor-webgpu/test/golden/checkpoint_evil.pth'));
    const { code, stderr } = await runStar(['convert', at('evil.pth'), '--out', at('evil')]);
    expect([code, stderr]).toEqual([1, expect.stringContaining('evil.pth: torch: global "posix.system" must be')]);
    expect(existsSync('/tmp/pwned-by-checkpoint')).toBe(false);
  });

  it('refuses values that half floats cannot hold, by name, and writes nothing', async () => {
    const vqvae = written(await publishedVqvae());
    vqvae.set('encoder.conv_in.bias', writtenTensor(hostTensor(new Float32Array(32).fill(1e6), [32])));
    await writeParts(at('overflow.pth'), torchParts(vqvae));
    const { code, stderr } = await runStar(['convert', at('overflow.pth'), '--dtype', 'f16', '--out', at('overflow')]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('larger ones in encoder.conv_in.bias. Say --dtype f32.'),
    ]);
    expect(existsSync(at('overflow'))).toBe(false);
  });

  it('takes less than 200 MB of memory for a checkpoint of 7 GB', async () => {
    const sides = { 128: 1024, 256: 2048, 384: 3072, 512: 4096 };
    const moments = new Map(Array.from({ length: 7 }, (_, i) => [i, writtenHole('F32', [250_000, 1000])]));
    const parts = { patchNumbers: [1, 2, 4, 8], moments };
    await writeParts(at('large.pth'), torchParts(trainerCheckpoint(holesOf(await publishedStar(), sides), parts)));
    expect((await stat(at('large.pth'))).size).toBeGreaterThan(7e9);
    const args = ['--sample-from', '2', '--dtype', 'f16', '--no-load', '--json'];
    const { stdout } = await convert(at('large.pth'), ...args, '--out', at('large/star'));
    const { bytes, peakMemory } = JSON.parse(stdout) as { bytes: number; peakMemory: number };
    expect(bytes).toBeGreaterThan(150e6);
    // Node with a TypeScript loader alone takes 110 MB.
    expect(peakMemory).toBeLessThan(200e6);
  });

  it('stops at an interrupt and leaves nothing behind', async () => {
    const large = holesOf(await publishedStar(), { 128: 1024, 256: 2048, 384: 3072, 512: 4096 });
    await writeParts(at('long.pth'), torchParts(trainerCheckpoint(large, { patchNumbers: [1, 2, 4, 8] })));
    const args = ['--sample-from', '2', '--no-load', '--dtype', 'f16', '--out', at('stopped/star')];
    const child = startStar(['convert', at('long.pth'), ...args]);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (/^\d.* of /m.test(text)) child.kill('SIGINT');
    });
    expect((await outcomeOf(child)).code).toBe(130);
    expect(await readdir(at('stopped'))).toEqual([]);
  });
});

describe('star convert of other networks', () => {
  it('takes a T5 from shards of PyTorch files, without its decoder', async () => {
    await t5Folder(at('t5'));
    const { stderr } = await convert(at('t5'), '--out', at('text/t5'));
    expect(stderr).toContain('T5 encoder of 2 layers and width 48, 120 tokens a prompt');
    expect([...(await weightsOf(at('text/t5'))).keys()].toSorted()).toEqual(
      [...(await publishedT5()).keys()].toSorted(),
    );
    expect(await readdir(at('text/t5'))).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
  });

  it('takes both towers of a CLIP from shards of safetensors', async () => {
    await clipFolder(at('clip'));
    const { stderr } = await convert(at('clip'), '--out', at('metrics/clip'));
    expect(stderr).toContain('CLIP with an image tower of 2 layers and width 64, patches of 8 px');
    const weights = await weightsOf(at('metrics/clip'));
    for (const [name, { values }] of await publishedClip()) expect(sameFloats(weights.get(name)!, values)).toBe(true);
  });

  it('takes the Inception of FID from the older PyTorch format', async () => {
    const shapes = inceptionShapes(inceptionConfig({ classes: 10, channelDivisor: 16 }));
    const tensors = new WrittenOrdered([...shapes].map(([name, shape]) => [name, buffer(...shape)] as const));
    tensors.set('Conv2d_1a_3x3.bn.num_batches_tracked', buffer());
    tensors.set('AuxLogits.fc.bias', buffer(10));
    await writeParts(at('inception.pth'), legacyTorchParts(tensors));
    await convert(at('inception.pth'), '--out', at('metrics/inception'));
    expect((await weightsOf(at('metrics/inception'))).size).toBe(shapes.size);
    expect(await configOf(at('metrics/inception'))).toMatchObject({ classes: 10, channelDivisor: 16 });
  });

  it('takes LPIPS from torchvision’s VGG-16 in the older format, with the weights of its layers in a file of their own', async () => {
    const { network, layers } = publishedLpips('vgg16');
    await writeParts(at('vgg16.pth'), legacyTorchParts(written(network)));
    await writeParts(at('lins.pth'), torchParts(written(layers)));
    const { code, stderr } = await runStar(['convert', at('vgg16.pth'), '--out', at('metrics/lpips')]);
    expect([code, stderr]).toEqual([1, expect.stringContaining('and name it with --lpips-weights.')]);
    await convert(at('vgg16.pth'), '--lpips-weights', at('lins.pth'), '--out', at('metrics/lpips'));
    expect(await configOf(at('metrics/lpips'))).toEqual({ network: 'vgg16', channelDivisor: 16 });
    const weights = await weightsOf(at('metrics/lpips'));
    const wanted = [...network, ...layers].filter(([name]) => !name.startsWith('classifier.'));
    expect(weights.size).toBe(wanted.length);
    for (const [name, { values }] of wanted) expect(sameFloats(weights.get(name)!, values)).toBe(true);
  });

  it('takes LPIPS from the whole model of the lpips package, by AlexNet', async () => {
    const { network, layers } = publishedLpips('alexnet');
    const slices = ['0', '3', '6', '8', '10'];
    const whole = new Map([
      ...[...network]
        .filter(([name]) => name.startsWith('features.'))
        .map(([name, tensor]) => {
          const [, index, kind] = name.split('.') as [string, string, string];
          return [`net.slice${slices.indexOf(index) + 1}.${index}.${kind}`, tensor] as const;
        }),
      ...layers,
      ...[...layers].map(([name, tensor]) => [name.replace(/^lin(\d)/, 'lins.$1'), tensor] as const),
    ]);
    const constants = { 'scaling_layer.shift': buffer(1, 3, 1, 1), 'scaling_layer.scale': buffer(1, 3, 1, 1) };
    await writeParts(at('lpips.pth'), torchParts(written(whole, constants)));
    await convert(at('lpips.pth'), '--out', at('metrics/lpips-alexnet'));
    expect(await configOf(at('metrics/lpips-alexnet'))).toEqual({ network: 'alexnet', channelDivisor: 16 });
    const weights = await weightsOf(at('metrics/lpips-alexnet'));
    expect(weights.size).toBe(15);
    for (const [name, { values }] of [...network, ...layers])
      if (!name.startsWith('classifier.')) expect(sameFloats(weights.get(name)!, values)).toBe(true);
  });

  it('asks for a tokenizer where none is beside the weights', async () => {
    await textFolder(at('apart'));
    await rm(at('apart/tokenizer'), { recursive: true });
    const { code, stderr } = await runStar(['convert', at('apart/text_encoder'), '--out', at('apart/out')]);
    expect([code, stderr]).toEqual([1, expect.stringContaining('Name its folder with --tokenizer.')]);
  });
});

describe('star inspect', () => {
  it('says what a checkpoint is, how it is nested, and what is inside', async () => {
    const { code, stdout, stderr } = await runStar(['inspect', star]);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('star.pth: PyTorch checkpoint, 23.7 MB');
    expect(stdout).toContain('STAR transformer, depth 3, width 128, 4 scales, with a refiner (at trainer.var_wo_ddp)');
    expect(stdout).toContain('multi-scale VQVAE, 32 channels, 64 codes of width 8 (at trainer.vae_local)');
    expect(stdout).toContain('      patch_nums: [1, 2, 4, 8]');
    expect(stdout).toMatch(/^ {2}F32 +4\.1 kB {2}\[128,8\] +trainer\.var_wo_ddp\.word_embed\.weight$/m);
    expect(stdout).toMatch(/and \d+ more; --all lists them/);
    expect(stdout).toMatch(/^437 tensors, \d+ elements, 23\.5 MB \(437 F32\)$/m);
  });

  it.each([
    ['the emoji model', () => fileURLToPath(modelUrl), ['star', 'vqvae', 'clip-text']],
    ['a T5 in shards', () => at('t5'), ['t5']],
    ['a whole CLIP', () => at('clip'), ['clip']],
    ['Inception weights', () => at('inception.pth'), ['inception']],
    ['a whole LPIPS', () => at('lpips.pth'), ['lpips']],
    ['the network of LPIPS alone', () => at('vgg16.pth'), ['lpips']],
  ])('knows %s', async (_, path, kinds) => {
    const { code, stdout, stderr } = await runStar(['inspect', path(), '--json']);
    expect(code, stderr).toBe(0);
    const { models } = JSON.parse(stdout) as { models: { kind: string }[] };
    expect(models.map(({ kind }) => kind)).toEqual(kinds);
  });

  it('names the published models by their sizes', async () => {
    const named = holesOf(await publishedStar(), { 4: 14, 128: 1920 });
    for (let i = 3; i < 30; i++) named.set(`blocks.${i}.attn.q_bias`, writtenHole('F32', [1920]));
    await writeParts(at('d30.pth'), torchParts(trainerCheckpoint(named, { patchNumbers: patchNumberPresets['1024'] })));
    const { stdout } = await runStar(['inspect', at('d30.pth')]);
    expect(stdout).toContain(
      'depth 30, width 1920, 14 scales, with a refiner: star-1024-d30-refiner (at trainer.var_wo_ddp)',
    );
  });
});
