import { beforeAll, describe, expect, it } from 'vitest';
import {
  backward,
  type ByteSource,
  bytesSource,
  concat,
  contiguous,
  embedding,
  hostFloats,
  hostTensor,
  permute,
  reshape,
  scope,
  slice,
  type Tensor,
  tensor,
  withPrecision,
} from '@star-webgpu/tensor-webgpu';
import {
  describeHalves,
  expectClose,
  goldenWeights,
  type GoldenTensor,
  hashed,
  loadGolden,
  loadGoldenJson,
  type Manifest,
  relativeError,
  testDevice,
  valuesOf,
  withLimits,
} from '@star-webgpu/tensor-webgpu/testing';
import { publishedConfig, vqvaeConfig } from './config.ts';
import { loadQuantizer } from './quantizer-weights.ts';
import { type MapSize, phiIndex, tokenCount, tokenMaps, tokenOffsets } from './scales.ts';
import { Vqvae } from './vqvae.ts';
import { loadVqvae, saveVqvae } from './weights.ts';

const golden = (file: string): URL => new URL(`../test/golden/${file}`, import.meta.url);
const config = vqvaeConfig({ channels: 32, codebookSize: 64, codeWidth: 8, patchNumbers: [1, 2, 3, 4] });

let numbers: Map<string, GoldenTensor>;
let vqvae: Vqvae;
let images_B3HW: Tensor;

beforeAll(async () => {
  await testDevice();
  const manifest = await loadGoldenJson<Manifest>(golden('vqvae_manifest.json'));
  numbers = await loadGolden(golden('vqvae.safetensors'));
  vqvae = new Vqvae(config).load(goldenWeights(manifest));
  images_B3HW = hashed('img', [2, 3, 64, 64]);
});

const normOf = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
const channelsFirst = (x_BhwC: Tensor): Tensor => permute(x_BhwC, [0, 3, 1, 2]);

describe('the published numbers', () => {
  it('latents, tokens and sums of every scale', async () => {
    const f_BhwZ = vqvae.encode(images_B3HW);
    await expectClose(channelsFirst(f_BhwZ), numbers.get('f')!.values, 5e-5);
    const { indices, sums } = vqvae.quantizer.quantize(f_BhwZ);
    for (const scale of config.patchNumbers.keys()) {
      expect([...(await indices[scale]!.data())]).toEqual([...numbers.get(`idx.${scale}`)!.values]);
      await expectClose(channelsFirst(sums[scale]!), numbers.get(`fhat.${scale}`)!.values, 5e-5);
    }
  });

  it('reconstruction and the transformer’s inputs', async () => {
    await expectClose(channelsFirst(vqvae.reconstruct(images_B3HW)), numbers.get('rec')!.values, 5e-5);
    await expectClose(
      vqvae.quantizer.teacherInput(vqvae.imageToTokens(images_B3HW)),
      numbers.get('var_input')!.values,
      5e-5,
    );
  });

  it('training loss, its parts and the gradient of every parameter', async () => {
    const wanted = await loadGoldenJson<Record<string, [number, number[]]>>(golden('vqvae_grads.json'));
    const parameters = vqvae.namedParameters();
    const { loss, quantizeLoss, reconstruction_B3HW } = vqvae.trainForward(images_B3HW);
    await expectClose(loss, numbers.get('train.loss')!.values, 5e-5);
    await expectClose(quantizeLoss, numbers.get('train.vq_loss')!.values, 5e-5);
    await expectClose(reconstruction_B3HW, numbers.get('train.rec')!.values, 5e-5);
    const gradients = scope(() => backward(loss, [...parameters.values()]));
    const faults: string[] = [];
    for (const [i, name] of [...parameters.keys()].entries()) {
      const values = await gradients[i]!.data();
      const [norm, first] = wanted[name]!;
      // biases ahead of a normalisation that takes them out again have a gradient of zero, which float32 only nearly reaches
      if (norm < 1e-6 && normOf(values) < 1e-6) continue;
      // four values are few: their error is taken against the tensor's root mean square too
      const typical = norm / Math.sqrt(values.length);
      const worst = Math.max(
        ...first.map((value, k) => Math.abs(values[k]! - value) / Math.max(typical, Math.abs(value))),
      );
      if (Math.abs(normOf(values) - norm) > 1e-4 * norm || worst > 5e-4)
        faults.push(`${name}: norm ${normOf(values)} for ${norm}, values off by ${worst}`);
    }
    expect(faults).toEqual([]);
    expect(Object.keys(wanted).toSorted()).toEqual([...parameters.keys()].toSorted());
  });

  it('phi convolutions of every scale', async () => {
    const wanted = await loadGoldenJson<Record<string, number[]>>(golden('phi_index.json'));
    for (const [name, indices] of Object.entries(wanted)) {
      const [, phis, scales] = /^share(\d+)\.SN(\d+)$/.exec(name)!.map(Number) as [number, number, number];
      expect(
        indices.map((_, scale) => phiIndex(scale, scales, phis)),
        name,
      ).toEqual(indices);
    }
  });
});

// goldens.md: float16 paths come within 5e-3 of float32
describeHalves('in half precision', () => {
  it('latents and reconstruction come within half precision of the published ones', async () => {
    // the pictures are decoded from the published sum, as a code that flips would hide the rest
    const f_BhwZ = withPrecision('f16', () => vqvae.encode(images_B3HW));
    await expectClose(channelsFirst(f_BhwZ), numbers.get('f')!.values, 5e-3);
    const sum_BhwZ = vqvae.quantizer.quantize(vqvae.encode(images_B3HW)).sums.at(-1)!;
    const images_BHW3 = withPrecision('f16', () => vqvae.decode(sum_BhwZ));
    expect(images_BHW3.dtype).toBe('f32');
    await expectClose(channelsFirst(images_BHW3), numbers.get('rec')!.values, 5e-3);
  });

  it('so does the reconstruction by filters that are halves on the device, beside codes that are not', async () => {
    const files = await saveVqvae(vqvae);
    const halves = (await loadVqvae(async (name) => files.get(name)!, { dtype: 'f16' })).freeze();
    const types = new Map([...halves.namedTensors()].map(([name, { dtype }]) => [name, dtype]));
    expect([types.get('decoder.conv_in.weight'), types.get('quantize.embedding.weight')]).toEqual(['f16', 'f32']);
    const sum_BhwZ = vqvae.quantizer.quantize(vqvae.encode(images_B3HW)).sums.at(-1)!;
    const images_BHW3 = withPrecision('f16', () => halves.decode(sum_BhwZ));
    await expectClose(channelsFirst(images_BHW3), numbers.get('rec')!.values, 5e-3);
    halves.dispose();
  });
});

describe('pictures whose maps are larger than a binding', () => {
  it('are decoded in bands to the same pixels', async () => {
    const small = vqvaeConfig({ ...config, channelMultipliers: [1, 1, 1, 2], patchNumbers: [1, 4, 15] });
    const decoded = async (): Promise<Float32Array> => {
      const model = new Vqvae(small, { seed: 3 }).freeze();
      const pixels = await valuesOf(scope(() => model.decode(hashed('sum', [2, 15, 15, 8]))));
      model.dispose();
      return pixels;
    };
    // the largest map has 120 x 120 pixels of 32 channels: 1.8 MB a picture
    const [whole, bands] = [await decoded(), await withLimits({ binding: 300_000 }, decoded)];
    expect(relativeError(bands, whole)).toBeLessThan(1e-6);
  });
});

describe('the quantiser', () => {
  it.each([
    [7, 7],
    [9, 5],
    [4, 12],
  ])('gives the same inputs step by step as for teacher forcing, on %i x %i tokens', async (height, width) => {
    const [latent, patchNumbers] = [{ height, width }, [1, 3, 5, 7]];
    const odd = new Vqvae(vqvaeConfig({ ...config, patchNumbers, phis: 0 }), { seed: 1 });
    const offsets = tokenOffsets(patchNumbers, latent);
    const L = offsets.at(-1)!;
    const tokens_BL = tensor(
      Array.from({ length: 3 * L }, (_, i) => (i * 37) % 64),
      [3, L],
      { dtype: 'u32' },
    );
    const teacher = odd.quantizer.teacherInput(tokens_BL, latent);
    let sum: Tensor | undefined;
    for (let scale = 0; scale < 4; scale++) {
      const codes_BlZ = embedding(odd.quantizer.codebook, slice(tokens_BL, 1, offsets[scale]!, offsets[scale + 1]!));
      const { sum_BhwZ, next_BlZ } = odd.quantizer.nextInput(scale, codes_BlZ, sum, { latent });
      sum = sum_BhwZ;
      expect(sum_BhwZ.shape).toEqual([3, height, width, 8]);
      expect(next_BlZ === undefined).toBe(scale === 3);
      if (next_BlZ)
        await expectClose(next_BlZ, slice(teacher, 1, offsets[scale + 1]! - 1, offsets[scale + 2]! - 1), 1e-6);
    }
    odd.dispose();
  });
});

describe('pictures that are not square', () => {
  const transposed = (x_BCHW: Tensor): Tensor => permute(x_BCHW, [0, 1, 3, 2]);
  /** Tokens of a batch as maps with rows and columns exchanged. */
  const turnedMaps = async (indices_BL: Tensor, latent: MapSize): Promise<number[]> => {
    const offsets = tokenOffsets(config.patchNumbers, latent);
    const maps = tokenMaps(config.patchNumbers, latent).map(({ height, width }, scale) =>
      contiguous(
        permute(reshape(slice(indices_BL, 1, offsets[scale]!, offsets[scale + 1]!), [2, height, width]), [0, 2, 1]),
      ),
    );
    return [
      ...(await valuesOf(
        concat(
          maps.map((map) => reshape(map, [2, map.size / 2])),
          1,
        ),
      )),
    ];
  };

  it('turned by a model of turned kernels give turned tokens, pixels and gradients, and the same losses', async () => {
    const kernels = [...vqvae.namedParameters()].filter(([, { rank }]) => rank === 4).map(([name]) => name);
    const turned = new Vqvae(config);
    const weights = await vqvae.hostWeights();
    for (const name of kernels) {
      const weight = vqvae.namedParameters().get(name)!;
      weights.set(name, hostTensor(await valuesOf(transposed(weight)), weight.shape));
    }
    turned.load(weights);
    // 6 x 3 tokens where the square has 4 x 4
    const tall_B3HW = hashed('tall', [2, 3, 96, 48]);
    const wide_B3HW = transposed(tall_B3HW);
    const wanted = vqvae.imageToTokens(tall_B3HW);
    expect(wanted.shape).toEqual([2, tokenCount(config.patchNumbers, { height: 6, width: 3 })]);
    expect([...(await valuesOf(turned.imageToTokens(wide_B3HW)))]).toEqual(
      await turnedMaps(wanted, { height: 6, width: 3 }),
    );
    const [tall, wide] = [vqvae.trainForward(tall_B3HW), turned.trainForward(wide_B3HW)];
    expect(tall.reconstruction_B3HW.shape).toEqual([2, 3, 96, 48]);
    // the same sums in another order
    await expectClose(wide.loss, await valuesOf(tall.loss), 5e-5);
    await expectClose(wide.reconstruction_B3HW, await valuesOf(transposed(tall.reconstruction_B3HW)), 5e-5);
    const gradients = (model: Vqvae, loss: Tensor): Tensor[] =>
      scope(() =>
        backward(
          loss,
          kernels.map((name) => model.namedParameters().get(name)!),
        ),
      );
    const [ofTall, ofWide] = [gradients(vqvae, tall.loss), gradients(turned, wide.loss)];
    for (const [i, gradient] of ofTall.entries())
      await expectClose(ofWide[i]!, await valuesOf(transposed(gradient)), 1e-4);
    turned.dispose();
  });
});

describe('a model', () => {
  it('comes back from its folder as it was; statistics of published files are passed over', async () => {
    const files = await saveVqvae(vqvae);
    const again = await loadVqvae(async (name) => files.get(name)!);
    await expectClose(again.encode(images_B3HW), vqvae.encode(images_B3HW), 0);
    const weights = await vqvae.hostWeights();
    weights.set('quantize.ema_vocab_hit_SV', hostTensor(new Float32Array(10), [10, 1]));
    expect(() => again.load(weights, { ignore: /ema_vocab_hit_SV$/ })).not.toThrow();
    again.dispose();
  });

  it('gives its quantiser alone, without reading the rest', async () => {
    const files = await saveVqvae(vqvae);
    const read: [number, number][] = [];
    const whole = bytesSource(files.get('model.safetensors')!);
    const source: ByteSource = {
      size: whole.size,
      read: (offset, length) => {
        read.push([offset, length]);
        return whole.read(offset, length);
      },
    };
    const { config: stored, quantizer } = await loadQuantizer(async (name) =>
      name === 'config.json' ? files.get(name)! : source,
    );
    expect(stored).toEqual(vqvae.config);
    const indices_BL = vqvae.imageToTokens(images_B3HW);
    await expectClose(quantizer.teacherInput(indices_BL), await vqvae.quantizer.teacherInput(indices_BL).data(), 0);
    const own = [...quantizer.namedTensors().values()].reduce((sum, { size }) => sum + 4 * size, 0);
    const header = new DataView(files.get('model.safetensors')!.buffer).getUint32(0, true);
    expect(read.reduce((sum, [, length]) => sum + length, 0)).toBe(8 + header + own);
    quantizer.dispose();
  });

  it('comes back with other scales and a larger codebook, whose new codes lie beside the old ones', async () => {
    const small = new Vqvae(vqvaeConfig({ ...config, channels: 8, normGroups: 4, channelMultipliers: [1, 2] }), {
      seed: 3,
    });
    const files = await saveVqvae(small);
    const load = (codebookSize: number): Promise<Vqvae> =>
      loadVqvae(async (name) => files.get(name)!, { changes: { codebookSize, patchNumbers: [1, 3, 6] }, seed: 5 });
    const [grown, again] = await Promise.all([load(150), load(150)]);
    expect(grown.config).toEqual({ ...small.config, codebookSize: 150, patchNumbers: [1, 3, 6] });
    const table = 'quantize.embedding.weight';
    const [before, after] = await Promise.all([small, grown].map((model) => model.hostWeights()));
    for (const [name, kept] of before!) if (name !== table) expect(after!.get(name)).toEqual(kept);
    const [codes, more] = [before!, after!].map((weights) => hostFloats(weights.get(table)!));
    expect(more!.length).toBe(150 * 8);
    expect(more!.subarray(0, codes!.length)).toEqual(codes);
    const moves = Float32Array.from(more!, (value, i) => value - codes![i % codes!.length]!).subarray(codes!.length);
    const rms = (values: Float32Array): number => Math.hypot(...values) / Math.sqrt(values.length);
    expect(rms(moves) / rms(codes!)).toBeGreaterThan(0.09);
    expect(rms(moves) / rms(codes!)).toBeLessThan(0.11);
    expect(hostFloats((await again.hostWeights()).get(table)!)).toEqual(more);
    await expect(load(40)).rejects.toThrow('quantize.embedding.weight');
    for (const model of [small, grown, again]) model.dispose();
  });

  it('has the published names and shapes', () => {
    expect(publishedConfig.patchNumbers.length).toBe(10);
    expect(vqvae.namedParameters().get('encoder.down.1.downsample.conv.weight')!.shape).toEqual([32, 32, 3, 3]);
    expect(vqvae.namedParameters().get('decoder.up.4.attn.2.proj_out.weight')!.shape).toEqual([128, 128, 1, 1]);
  });

  it('refuses a config with every fault named', () => {
    expect(() => vqvaeConfig({ channels: 30, codeWidth: 3, phis: -1 })).toThrow(
      'vqvae: config must be valid, got codeWidth 3 instead of a positive multiple of 4; phis -1 instead of an integer of at least 0. Correct these fields.',
    );
  });
});
