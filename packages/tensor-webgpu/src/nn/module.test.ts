import { beforeAll, describe, expect, it } from 'vitest';
import { currentDevice } from '../device/current.ts';
import { hostTensor } from '../io/host-tensor.ts';
import { openWeights, SafetensorsError, writeSafetensors } from '../io/safetensors.ts';
import { type ByteSource, bytesSource, type FileBytes, type ReadFile } from '../io/source.ts';
import { storedTensor } from '../io/stored-tensor.ts';
import { hashedValues } from '../testing/hashed.ts';
import { testDevice } from '../testing/test-device.ts';
import { initZeros } from './init.ts';
import { Linear } from './linear.ts';
import { withParameters } from './parameters.ts';

beforeAll(testDevice);

const newLayer = (): Linear => new Linear({ in: 5, out: 7, init: initZeros });
const weights = new Map([
  ['weight', hostTensor(hashedValues('weight', 35), [7, 5])],
  ['bias', hostTensor(hashedValues('bias', 7), [7])],
]);
const valuesOf = async (layer: Linear): Promise<number[][]> => [
  [...(await layer.weight.data())],
  [...(await layer.bias!.data())],
];

const readFrom =
  (files: Readonly<Record<string, FileBytes>>): ReadFile =>
  async (path) => {
    const file = files[path];
    if (!file) throw new Error(`no ${path}`);
    return file;
  };

describe('loadStored', () => {
  it('gives the weights that load gives, one tensor after the other in memory', async () => {
    const whole = bytesSource(writeSafetensors(weights));
    let [reading, most] = [0, 0];
    const source: ByteSource = {
      size: whole.size,
      read: async (offset, length) => {
        most = Math.max(most, ++reading);
        await new Promise((resolve) => setTimeout(resolve, 1));
        reading--;
        return whole.read(offset, length);
      },
    };
    const loaded = await newLayer().loadStored(await openWeights(readFrom({ 'model.safetensors': source })));
    expect(await valuesOf(loaded)).toEqual(await valuesOf(newLayer().load(weights)));
    expect(most).toBe(1);
  });

  it('takes them as halves where the model has halves', async () => {
    const halves = withParameters({ values: 'none', dtype: 'f16' }, newLayer);
    await halves.loadStored(new Map([...weights].map(([name, value]) => [name, storedTensor(value)])));
    const rounded = withParameters({ dtype: 'f16' }, newLayer).load(weights);
    expect(halves.weight.dtype).toBe('f16');
    expect(await valuesOf(halves)).toEqual(await valuesOf(rounded));
  });

  it('lists what does not fit, and frees the model then and where reading fails', async () => {
    const before = currentDevice().stats().liveBuffers;
    const stored = new Map([...weights].map(([name, value]) => [name, storedTensor(value)]));
    const { weight: _, ...rest } = Object.fromEntries(stored);
    await expect(
      newLayer().loadStored(new Map(Object.entries({ ...rest, other: stored.get('bias')! }))),
    ).rejects.toThrow(
      'Linear: weights must match the model. missing: weight; unexpected: other. Check that config and weights belong together.',
    );
    const broken = {
      ...stored.get('bias')!,
      pieces: () => {
        throw new Error('the disk is gone');
      },
    };
    await expect(newLayer().loadStored(new Map([...stored, ['bias', broken]]))).rejects.toThrow('the disk is gone');
    expect(currentDevice().stats().liveBuffers).toBe(before);
  });
});

describe('openWeights', () => {
  const [first, second] = [...weights].map((one) => writeSafetensors(new Map([one])));
  const index = new TextEncoder().encode(
    JSON.stringify({ weight_map: { weight: 'a.safetensors', bias: 'b.safetensors' } }),
  );

  it('opens one file without asking for an index, else shards', async () => {
    const asked: string[] = [];
    const file = writeSafetensors(weights);
    const one = await openWeights(async (path) => {
      asked.push(path);
      return file;
    });
    expect([[...one.keys()], asked]).toEqual([['weight', 'bias'], ['model.safetensors']]);
    const files = { 'model.safetensors.index.json': index, 'a.safetensors': first!, 'b.safetensors': second! };
    expect([...(await openWeights(readFrom(files))).keys()]).toEqual(['weight', 'bias']);
  });

  it('says of a broken file what is wrong, and of none what the reader says', async () => {
    const files = { 'model.safetensors': new Uint8Array(5), 'model.safetensors.index.json': index };
    await expect(openWeights(readFrom(files))).rejects.toThrow(SafetensorsError);
    await expect(openWeights(readFrom({}))).rejects.toThrow('no model.safetensors');
  });
});
