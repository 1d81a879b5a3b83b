import { contiguousStrides, isContiguous, type Shape, sizeOf } from '../../shape.ts';
import { storedBytes, type StoredDType } from '../host-tensor.ts';
import { type ByteSource, rangePieces } from '../source.ts';
import type { StoredTensor } from '../stored-tensor.ts';
import { crc32 } from './crc32.ts';
import { expectThat, shown } from './errors.ts';

/** A run of bytes of a torch file that tensors are views of. */
export interface TorchStorage {
  readonly key: string;
  /** Type of its elements; undefined for bytes that each tensor gives a type. */
  readonly dtype: StoredDType | undefined;
  readonly bytes: number;
  /** Where it begins in the file. */
  locate(): Promise<number>;
  /** Checksum of all of it, where the file gives one. */
  readonly crc?: number;
}

/** A tensor of a torch file: a view of a storage. */
export class TorchTensor implements StoredTensor {
  readonly dtype: StoredDType;
  readonly shape: Shape;
  /** Elements between neighbours along each axis. */
  readonly strides: readonly number[];
  /** Index of its first element in the storage. */
  readonly offset: number;
  readonly storage: TorchStorage;
  private readonly source: ByteSource;

  /** @throws TorchFileError where the view does not lie inside its storage, or repeats elements to more than the file holds */
  constructor(
    source: ByteSource,
    storage: TorchStorage,
    view: { dtype: StoredDType; shape: Shape; strides: readonly number[]; offset: number },
  ) {
    const { dtype, shape, strides, offset } = view;
    checkView(source, storage, view);
    this.source = source;
    this.storage = storage;
    this.dtype = dtype;
    this.shape = shape;
    this.strides = strides;
    this.offset = offset;
  }

  /** Its elements row-major. @throws TorchFileError where a whole storage does not have its checksum */
  async *pieces(): AsyncGenerator<Uint8Array> {
    const { dtype, shape, strides, offset } = this;
    if (!sizeOf(shape)) return;
    const unit = storedBytes[dtype];
    const start = (await this.storage.locate()) + offset * unit;
    if (isContiguous(shape, strides)) yield* this.checkedPieces(start, sizeOf(shape) * unit);
    else yield gather(await this.source.read(start, spanOf(shape, strides) * unit), { unit, shape, strides });
  }

  private async *checkedPieces(start: number, bytes: number): AsyncGenerator<Uint8Array> {
    const { crc: wanted, bytes: all, key } = this.storage;
    let crc = 0;
    for await (const piece of rangePieces(this.source, start, bytes)) {
      if (wanted !== undefined) crc = crc32(piece, crc);
      yield piece;
    }
    expectThat(
      wanted === undefined || bytes < all || crc === wanted,
      () => `storage ${shown(key)} must have the checksum ${wanted}, got ${crc}. The file is damaged; fetch it again.`,
    );
  }
}

/** Elements from the first to the last of a view that is not empty. */
const spanOf = (shape: Shape, strides: readonly number[]): number =>
  shape.reduce((span, side, axis) => span + (side - 1) * strides[axis]!, 1);

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

function checkView(
  source: ByteSource,
  storage: TorchStorage,
  { dtype, shape, strides, offset }: { dtype: StoredDType; shape: Shape; strides: readonly number[]; offset: number },
): void {
  const whole = [...shape, ...strides, offset].every(isCount) && shape.length === strides.length && shape.length <= 64;
  expectThat(whole, () => 'tensor must have whole sides, strides and offset. The file is damaged; fetch it again.');
  const unit = storedBytes[dtype];
  const end = (offset + (sizeOf(shape) ? spanOf(shape, strides) : 0)) * unit;
  expectThat(
    end <= storage.bytes,
    () =>
      `tensor of shape [${shape}] must end inside storage ${shown(storage.key)} of ${storage.bytes} bytes, got byte ${end}. The file is damaged; fetch it again.`,
  );
  expectThat(
    sizeOf(shape) * unit <= source.size,
    () =>
      `tensor of shape [${shape}] must not be larger than its file of ${source.size} bytes. Save the tensor itself instead of an expanded view.`,
  );
}

interface Layout {
  readonly unit: number;
  readonly shape: Shape;
  readonly strides: readonly number[];
}

/** Arrays whose elements have a size; they are only copied, so that numbers and long whole numbers are alike. */
const unitArrays = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array } as unknown as Readonly<
  Record<number, Uint32ArrayConstructor>
>;

/** The elements of a view row-major, from the bytes between its first and its last one. */
function gather(span: Uint8Array, { unit, shape, strides }: Layout): Uint8Array {
  const Elements = unitArrays[unit]!;
  const aligned = span.byteOffset % unit ? new Uint8Array(span) : span;
  const from = new Elements(aligned.buffer, aligned.byteOffset, aligned.byteLength / unit);
  const to = new Elements(sizeOf(shape));
  const places = contiguousStrides(shape);
  const copy = (axis: number, source: number, target: number): void => {
    if (axis === shape.length) return void (to[target] = from[source]!);
    for (let i = 0; i < shape[axis]!; i++) copy(axis + 1, source + i * strides[axis]!, target + i * places[axis]!);
  };
  copy(0, 0, 0);
  return new Uint8Array(to.buffer);
}
