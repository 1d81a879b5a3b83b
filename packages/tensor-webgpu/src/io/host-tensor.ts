import { type DType, fromHalfBits, type HostArray, toHalfBits, toHost } from '../dtype.ts';
import type { Shape } from '../shape.ts';

/** Element types of stored tensors, by their safetensors names. */
export type StoredDType =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'I64'
  | 'U64'
  | 'I32'
  | 'U32'
  | 'I16'
  | 'U16'
  | 'I8'
  | 'U8'
  | 'BOOL'
  | 'F8_E4M3'
  | 'F8_E5M2';

/** A tensor in host memory: raw little-endian bytes in row-major order. */
export interface HostTensor {
  readonly dtype: StoredDType;
  readonly shape: Shape;
  readonly bytes: Uint8Array;
}

/** Bytes of one stored element. */
export const storedBytes: Readonly<Record<StoredDType, number>> = {
  F64: 8,
  I64: 8,
  U64: 8,
  F32: 4,
  I32: 4,
  U32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
};

type Reader = (view: DataView, offset: number) => number;

const scratch = new DataView(new ArrayBuffer(4));

function bfloat16(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** An 8-bit float: 4 or 5 exponent bits; e4m3 has no infinity and one NaN pattern. */
function float8(bits: number, exponentBits: 4 | 5): number {
  const mantissaBits = 7 - exponentBits;
  const sign = bits & 0x80 ? -1 : 1;
  const exponent = (bits & 0x7f) >> mantissaBits;
  const mantissa = bits & ((1 << mantissaBits) - 1);
  const bias = (1 << (exponentBits - 1)) - 1;
  if (exponentBits === 4 && (bits & 0x7f) === 0x7f) return Number.NaN;
  if (exponentBits === 5 && exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  const fraction = mantissa / (1 << mantissaBits);
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

const readers: Readonly<Record<StoredDType, Reader>> = {
  F64: (view, at) => view.getFloat64(at, true),
  F32: (view, at) => view.getFloat32(at, true),
  F16: (view, at) => fromHalfBits(view.getUint16(at, true)),
  BF16: (view, at) => bfloat16(view.getUint16(at, true)),
  I64: (view, at) => Number(view.getBigInt64(at, true)),
  U64: (view, at) => Number(view.getBigUint64(at, true)),
  I32: (view, at) => view.getInt32(at, true),
  U32: (view, at) => view.getUint32(at, true),
  I16: (view, at) => view.getInt16(at, true),
  U16: (view, at) => view.getUint16(at, true),
  I8: (view, at) => view.getInt8(at),
  U8: (view, at) => view.getUint8(at),
  BOOL: (view, at) => view.getUint8(at),
  F8_E4M3: (view, at) => float8(view.getUint8(at), 4),
  F8_E5M2: (view, at) => float8(view.getUint8(at), 5),
};

/** All elements as float32, whatever the stored type. Plain loops: converting and loading weights waits for them. */
export function hostFloats({ dtype, bytes }: HostTensor): Float32Array {
  const count = bytes.byteLength / storedBytes[dtype];
  const values = new Float32Array(count);
  if (dtype === 'F32') new Uint8Array(values.buffer).set(bytes);
  else if (dtype === 'BF16') widenBrainFloats(bytes, values);
  else {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const [step, read] = [storedBytes[dtype], readers[dtype]];
    for (let i = 0; i < count; i++) values[i] = read(view, i * step);
  }
  return values;
}

/** A bfloat16 is the upper half of a float32. */
function widenBrainFloats(bytes: Uint8Array, values: Float32Array): void {
  const words = new Uint8Array(values.buffer);
  for (let i = 0; i < values.length; i++) {
    words[4 * i + 2] = bytes[2 * i]!;
    words[4 * i + 3] = bytes[2 * i + 1]!;
  }
}

/** All elements as they are uploaded to a tensor of a float type; stored halves stay as they are for f16. */
export function hostValues(stored: HostTensor, dtype: DType): HostArray {
  if (dtype === 'f16' && stored.dtype === 'F16') return new Uint16Array(new Uint8Array(stored.bytes).buffer);
  return toHost(hostFloats(stored), dtype);
}

/** Float values stored as F32 or F16. */
export function hostTensor(values: Float32Array, shape: Shape, dtype: 'F32' | 'F16' = 'F32'): HostTensor {
  const stored = dtype === 'F16' ? halvesOf(values) : values;
  return { dtype, shape, bytes: new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength) };
}

function halvesOf(values: Float32Array): Uint16Array {
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) halves[i] = toHalfBits(values[i]!);
  return halves;
}

/** The device dtype that holds a stored one: integers of any width become i32 or u32. */
export function deviceDType(dtype: StoredDType): DType {
  if (dtype === 'BOOL') return 'bool';
  if (dtype.startsWith('I')) return 'i32';
  return dtype.startsWith('U') ? 'u32' : 'f32';
}
