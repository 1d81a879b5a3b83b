import { describe, expect, it } from 'vitest';
import { hostFloats, hostTensor, type HostTensor } from './host-tensor.ts';
import {
  openSafetensors,
  openSharded,
  readSafetensors,
  readSafetensorsMetadata,
  safetensorsPieces,
  writeSafetensors,
} from './safetensors.ts';
import { type ByteSource, bytesSource } from './source.ts';
import { readStored, storedTensor } from './stored-tensor.ts';

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** A file with any header and any number of data bytes. */
function file(header: unknown, dataBytes: number): Uint8Array {
  const text = encode(header);
  const bytes = new Uint8Array(8 + text.byteLength + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.byteLength), true);
  bytes.set(text, 8);
  return bytes;
}

const entry = (start: number, end: number, shape: number[] = [1], dtype = 'F32'): unknown => ({
  dtype,
  shape,
  data_offsets: [start, end],
});

describe('safetensors', () => {
  it('gives back what was written, metadata and odd sizes included', () => {
    const tensors = new Map<string, HostTensor>([
      ['a', hostTensor(Float32Array.of(1, -2.5, 3), [3])],
      ['half', hostTensor(Float32Array.of(0.5, 65504, -0.0000001), [1, 3], 'F16')],
      ['nothing', hostTensor(new Float32Array(0), [0, 4])],
      ['scalar', hostTensor(Float32Array.of(7), [])],
    ]);
    const bytes = writeSafetensors(tensors, { made: 'here' });
    const read = readSafetensors(bytes);
    expect([...read.keys()]).toEqual([...tensors.keys()]);
    for (const [name, { dtype, shape, bytes: data }] of tensors)
      expect(read.get(name)).toEqual({ dtype, shape, bytes: data });
    expect(readSafetensorsMetadata(bytes)).toEqual({ made: 'here' });
    expect([...hostFloats(read.get('half')!)]).toEqual([0.5, 65504, -(2 ** -24) * 2]);
  });

  it('reads every stored type as float32', () => {
    const values: [HostTensor['dtype'], number[], number[]][] = [
      ['F64', [0, 0, 0, 0, 0, 0, 0xf8, 0x3f], [1.5]],
      ['BF16', [0xc0, 0x3f], [1.5]],
      ['I64', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [-1]],
      ['U16', [0xff, 0xff], [65535]],
      ['I8', [0x80], [-128]],
      ['BOOL', [1, 0], [1, 0]],
      ['F8_E4M3', [0x3c, 0x7e, 0x01], [1.5, 448, 2 ** -9]],
      ['F8_E5M2', [0x3e, 0x7b], [1.5, 57344]],
    ];
    for (const [dtype, bytes, want] of values)
      expect([...hostFloats({ dtype, shape: [want.length], bytes: Uint8Array.from(bytes) })]).toEqual(want);
  });

  it.each([
    [
      'a truncated length',
      new Uint8Array(5),
      'safetensors: file must hold at least 8 bytes, got 5. It is truncated or another format.',
    ],
    [
      'an oversized header',
      Uint8Array.of(255, 255, 255, 255, 255, 0, 0, 0),
      'safetensors: header must be at most 100000000 bytes, got 1099511627775. This is not a safetensors file.',
    ],
    [
      'a header beyond the file',
      Uint8Array.of(99, 0, 0, 0, 0, 0, 0, 0),
      'safetensors: header of 99 bytes must fit the file of 8. The file is truncated; fetch it again.',
    ],
    [
      'a header that is no object',
      file([1], 0),
      'safetensors: header must be a JSON object. The file is corrupt or another format.',
    ],
    [
      'overlapping tensors',
      file({ a: entry(0, 8, [2]), b: entry(4, 8) }, 8),
      'safetensors: tensor "b" overlaps the one before it at byte 4.',
    ],
    [
      'a hole',
      file({ a: entry(0, 4), b: entry(8, 12) }, 12),
      'safetensors: bytes 4..8 before tensor "b" belong to no tensor.',
    ],
    [
      'truncated data',
      file({ a: entry(0, 8, [2]) }, 4),
      'safetensors: tensor "a" ends at byte 8 of 4. The file is truncated; fetch it again.',
    ],
    ['bytes left over', file({ a: entry(0, 4) }, 6), 'safetensors: 2 bytes after the last tensor belong to no tensor.'],
    [
      'a size that contradicts the shape',
      file({ a: entry(0, 4, [3]) }, 4),
      'safetensors: tensor "a" of shape [3] F32 must span 12 bytes, got 4.',
    ],
    ['an unknown dtype', file({ a: entry(0, 4, [1], 'Q4') }, 4), 'safetensors: tensor "a" has unknown dtype "Q4".'],
    ['a negative side', file({ a: entry(0, 4, [-1]) }, 4), 'safetensors: tensor "a" has broken shape [-1].'],
  ])('refuses %s by name, read whole or lazily', async (_, bytes, message) => {
    expect(() => readSafetensors(bytes)).toThrow(message);
    await expect(openSafetensors(bytes)).rejects.toThrow(message);
  });

  it('opens a file by its header alone, and reads one tensor without the others', async () => {
    const tensors = new Map([
      ['a', hostTensor(new Float32Array(3_000_001).fill(2), [3_000_001])],
      ['b', hostTensor(Float32Array.of(1, 2), [2], 'F16')],
    ]);
    const bytes = writeSafetensors(tensors);
    const asked: [number, number][] = [];
    const source: ByteSource = {
      size: bytes.byteLength,
      read: (offset, length) => (asked.push([offset, length]), bytesSource(bytes).read(offset, length)),
    };
    const opened = await openSafetensors(source);
    expect(asked.reduce((sum, [, length]) => sum + length, 0)).toBeLessThan(300);
    expect(await readStored(opened.get('b')!)).toEqual(tensors.get('b'));
    expect(asked.at(-1)).toEqual([bytes.byteLength - 4, 4]);
    const { bytes: read } = await readStored(opened.get('a')!);
    expect(Buffer.compare(read, tensors.get('a')!.bytes)).toBe(0);
    expect(Math.max(...asked.map(([, length]) => length))).toBeLessThanOrEqual(4 << 20);
  });

  it('writes piece by piece what it writes at once', async () => {
    const tensors = new Map([
      ['a', hostTensor(Float32Array.of(1, 2, 3), [3, 1])],
      ['nothing', hostTensor(new Float32Array(0), [0])],
      ['half', hostTensor(Float32Array.of(0.5), [], 'F16')],
    ]);
    const stored = new Map([...tensors].map(([name, host]) => [name, storedTensor(host)]));
    const pieces: number[] = [];
    for await (const piece of safetensorsPieces(stored, { made: 'here' })) pieces.push(...piece);
    expect(Uint8Array.from(pieces)).toEqual(writeSafetensors(tensors, { made: 'here' }));
  });

  it('refuses to write a tensor whose pieces are not as long as its shape says', async () => {
    const short = { ...storedTensor(hostTensor(Float32Array.of(1), [1])), shape: [2] };
    const write = async (): Promise<void> => {
      for await (const piece of safetensorsPieces(new Map([['a', short]]))) void piece;
    };
    await expect(write()).rejects.toThrow('tensor "a" of shape [2] F32 must hold 8 bytes, got 4.');
  });

  it('joins shards by their index and names what they lack', async () => {
    const shard = (name: string): Uint8Array =>
      writeSafetensors(new Map([[name, hostTensor(Float32Array.of(1), [1])]]));
    const files: Record<string, Uint8Array> = { 'one.safetensors': shard('a'), 'two.safetensors': shard('b') };
    const read = async (name: string): Promise<Uint8Array> => files[name]!;
    const index = { weight_map: { a: 'one.safetensors', b: 'two.safetensors' } };
    expect([...(await openSharded(encode(index), read)).keys()]).toEqual(['a', 'b']);
    await expect(
      openSharded(encode({ weight_map: { ...index.weight_map, c: 'two.safetensors' } }), read),
    ).rejects.toThrow('index lists tensors that no file holds: c (two.safetensors)');
    await expect(openSharded(encode({ weight_map: { a: '../one.safetensors' } }), read)).rejects.toThrow(
      'index must name files beside it, got "../one.safetensors"',
    );
  });
});
