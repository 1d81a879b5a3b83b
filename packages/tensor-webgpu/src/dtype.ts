/** Element types of a tensor. `bool` is stored as u32 holding 0 or 1, because WGSL has no storable boolean. */
export type DType = 'f32' | 'f16' | 'u32' | 'i32' | 'bool';

/** A typed array that can hold host values of some dtype; f16 travels as raw 16-bit patterns. */
export type HostArray = Float32Array | Uint16Array | Uint32Array | Int32Array;

/** Bytes of one element on the device. */
export const bytesPerElement: Readonly<Record<DType, number>> = { f32: 4, f16: 2, u32: 4, i32: 4, bool: 4 };

/** True for the dtypes that carry gradients. */
export const isFloat = (dtype: DType): boolean => dtype === 'f32' || dtype === 'f16';

const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

/** Rounds a number to the nearest IEEE half (ties to even) and returns its 16-bit pattern. */
export function toHalfBits(value: number): number {
  scratchFloat[0] = value;
  const bits = scratchBits[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const mantissa = bits & 0x7fffff;
  if (exponent === 0xff) return sign | 0x7c00 | (mantissa ? 0x200 : 0);
  const halfExponent = exponent - 112;
  if (halfExponent >= 31) return sign | 0x7c00;
  if (halfExponent > 0) return sign + roundShift((halfExponent << 23) | mantissa, 13);
  if (halfExponent < -10) return sign;
  return sign + roundShift(mantissa | 0x800000, 14 - halfExponent);
}

/** Right shift that rounds to nearest, ties to even. */
function roundShift(value: number, shift: number): number {
  const kept = value >>> shift;
  const rest = value & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept;
}

/** The number that a 16-bit IEEE half pattern stands for. */
export function fromHalfBits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/** Converts numbers to the host array that a dtype is uploaded as. */
export function toHost(values: ArrayLike<number>, dtype: DType): HostArray {
  if (dtype === 'f32') return values instanceof Float32Array ? values : Float32Array.from(values);
  if (dtype === 'f16') return values instanceof Uint16Array ? values : Uint16Array.from(values, toHalfBits);
  if (dtype === 'i32') return values instanceof Int32Array ? values : Int32Array.from(values);
  if (dtype === 'bool') return Uint32Array.from(values, (value) => (value ? 1 : 0));
  return values instanceof Uint32Array ? values : Uint32Array.from(values);
}

/** A host view of raw device bytes, as the typed array of the dtype. */
export function fromBytes(bytes: ArrayBuffer, dtype: DType, count: number): HostArray {
  if (dtype === 'f32') return new Float32Array(bytes, 0, count);
  if (dtype === 'f16') return new Uint16Array(bytes, 0, count);
  if (dtype === 'i32') return new Int32Array(bytes, 0, count);
  return new Uint32Array(bytes, 0, count);
}
