import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { hostRandom } from '../../nn/host-random.ts';
import { legacyTorchParts, partsBytes, torchParts, WrittenOrdered, writtenTensor } from '../../testing/torch-writer.ts';
import { hostTensor } from '../host-tensor.ts';
import { type ByteSource, bytesSource, SourceError } from '../source.ts';
import { readStored, storedSize } from '../stored-tensor.ts';
import { openTorch, tensorsIn, TorchFileError } from './index.ts';

const golden = (name: string): Promise<Uint8Array> =>
  readFile(new URL(`../../../test/golden/${name}`, import.meta.url));

/** Whole numbers below a bound, from a seed. */
function dice(seed: number): (below: number) => number {
  const random = hostRandom(seed);
  return (below) => Math.floor(random.uniform() * below);
}

const lengths = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff];

type Mutation = (file: Uint8Array, roll: (below: number) => number) => Uint8Array;

const mutations: readonly Mutation[] = [
  // one to eight bytes become any others
  (file, roll) => {
    for (let i = 0; i <= roll(8); i++) file[roll(file.length)] = roll(256);
    return file;
  },
  // a bit flips
  (file, roll) => {
    file[roll(file.length)]! ^= 1 << roll(8);
    return file;
  },
  // the end is missing
  (file, roll) => file.subarray(0, roll(file.length)),
  // a length field says something else
  (file, roll) => {
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    view.setUint32(roll(file.length - 4), lengths[roll(lengths.length)]!, true);
    return file;
  },
  // a long one
  (file, roll) => {
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    view.setBigUint64(roll(file.length - 8), BigInt(lengths[roll(lengths.length)]!) << BigInt(roll(33)), true);
    return file;
  },
  // a part is written over by another
  (file, roll) => {
    const from = roll(file.length);
    file.copyWithin(roll(file.length), from, from + roll(200));
    return file;
  },
];

/** A source that refuses to hand out more than the file. */
function watched(bytes: Uint8Array): ByteSource & { largest: number } {
  const inner = bytesSource(bytes);
  const source = {
    size: bytes.byteLength,
    largest: 0,
    read: (offset: number, length: number) => {
      source.largest = Math.max(source.largest, length);
      return inner.read(offset, length);
    },
  };
  return source;
}

/** Reads all that a file holds; what it throws must be one of our errors. */
async function readWhole(bytes: Uint8Array): Promise<'read' | 'refused'> {
  const source = watched(bytes);
  try {
    const { value } = await openTorch(source);
    for (const tensor of tensorsIn(value).values()) {
      expect(storedSize(tensor)).toBeLessThanOrEqual(bytes.byteLength);
      await readStored(tensor);
    }
    return 'read';
  } catch (error) {
    if (!(error instanceof TorchFileError || error instanceof SourceError)) throw error;
    return 'refused';
  } finally {
    expect(source.largest).toBeLessThanOrEqual(bytes.byteLength);
  }
}

describe('damaged torch files', () => {
  it('10,000 of them are read or refused with the package’s own errors: no crash, no hang, no read beyond the file', async () => {
    const small = new WrittenOrdered([['w', writtenTensor(hostTensor(Float32Array.of(1, 2, 3), [3]))]]);
    const files = [
      await golden('checkpoint.pth'),
      await golden('checkpoint_legacy.pth'),
      partsBytes(torchParts(small)),
      partsBytes(legacyTorchParts(small)),
    ];
    const roll = dice(20_261_125);
    const counts = { read: 0, refused: 0 };
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 10_000; i++) {
      const file = new Uint8Array(files[i % files.length]!);
      counts[await readWhole(mutations[i % mutations.length]!(file, roll))]++;
    }
    expect(counts.read + counts.refused).toBe(10_000);
    // Many mutations touch only padding or values, so that both must be frequent.
    expect(counts.read).toBeGreaterThan(500);
    expect(counts.refused).toBeGreaterThan(2000);
    // The files are of a few kilobytes: anything that grows by more than garbage would was asked for by a length field.
    expect(process.memoryUsage().rss - before).toBeLessThan(300e6);
  });

  it('pickles of random opcodes are refused or read, whatever they say', async () => {
    const roll = dice(7);
    const codes = [...'(0).012NIKJGXUCBt]al}susqhrjcRbQe']
      .map((letter) => letter.charCodeAt(0))
      .concat(0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x8f, 0x90, 0x91, 0x93, 0x94);
    const bytes = partsBytes(legacyTorchParts('x'));
    const start = Buffer.from(bytes).indexOf('X\u0001\u0000\u0000\u0000x', 0, 'latin1');
    for (let i = 0; i < 3000; i++) {
      const body = Uint8Array.from({ length: 1 + roll(60) }, () => (roll(3) ? codes[roll(codes.length)]! : roll(256)));
      const file = new Uint8Array(start + body.length + 40);
      file.set(bytes.subarray(0, start));
      file.set(body, start);
      await readWhole(file);
    }
  });
});
