import { describe, expect, it } from 'vitest';
import { decodeArray, encodeArray, parseHeader, type StoredArray } from './schema.ts';

const arrays: StoredArray[] = [
  { dtype: 'f32', shape: [1, 3], data: new Float32Array([1.5, -0, Number.NaN]) },
  { dtype: 'f64', shape: [1], data: new Float64Array([Math.PI]) },
  { dtype: 'f16', shape: [2], data: new Uint16Array([0x3c00, 0xfbff]) },
  { dtype: 'u8', shape: [7, 1, 1], data: new Uint8Array([0, 1, 2, 3, 4, 5, 255]) },
  { dtype: 'u16', shape: [1], data: new Uint16Array([65535]) },
  { dtype: 'u32', shape: [1], data: new Uint32Array([4294967295]) },
  { dtype: 'i8', shape: [1], data: new Int8Array([-128]) },
  { dtype: 'i16', shape: [1], data: new Int16Array([-32768]) },
  { dtype: 'i32', shape: [0, 5], data: new Int32Array(0) },
];

describe('stored arrays', () => {
  it.each(arrays)('$dtype comes back with its values and shape', (array) => {
    expect(decodeArray(encodeArray(array))).toEqual(array);
  });

  it('an array read from an odd place in a larger buffer is the same', () => {
    const array = arrays[0] as StoredArray;
    const bytes = encodeArray(array);
    const larger = new Uint8Array(bytes.length + 3);
    larger.set(bytes, 3);
    expect(decodeArray(larger.subarray(3))).toEqual(array);
  });

  it('a view on part of a buffer stores that part alone', () => {
    const whole = new Float32Array([9, 1, 2, 9]);
    const stored = decodeArray(encodeArray({ dtype: 'f32', shape: [2], data: whole.subarray(1, 3) }));
    expect([...stored.data]).toEqual([1, 2]);
  });

  it('data of another dtype is refused', () => {
    expect(() => encodeArray({ dtype: 'f32', shape: [1], data: new Int32Array(1) })).toThrow(
      'putArray: data must match its dtype f32, got Int32Array. Pass a Float32Array.',
    );
  });

  it('a shape of another size is refused', () => {
    expect(() => encodeArray({ dtype: 'u8', shape: [2, 3], data: new Uint8Array(5) })).toThrow(
      'putArray: shape must hold as many elements as data, got [2, 3] for 5. Correct the shape.',
    );
  });
});

describe('header', () => {
  const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

  it('a pack of a later version is refused by its version', () => {
    expect(() => parseHeader(bytes({ format: 'star-webgpu-pack', version: 3 }), 'a.lmdb')).toThrow(
      'openPack: pack version must be 1 or 2, got 3 at a.lmdb. Update @star-webgpu/data-lmdb, or pack the data again.',
    );
  });

  it.each([undefined, new Uint8Array([1, 2]), bytes('star-webgpu-pack'), bytes({ version: 1 })])(
    'a database without our mark is refused',
    (header) => {
      expect(() => parseHeader(header, 'a.lmdb')).toThrow(
        'openPack: file must be a pack of ours, got another LMDB database at a.lmdb. Make a pack with pack().',
      );
    },
  );
});
