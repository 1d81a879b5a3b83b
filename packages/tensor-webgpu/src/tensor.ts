import type { Node } from './autograd/node.ts';
import type { PooledBuffer } from './device/buffer-pool.ts';
import { currentDevice } from './device/current.ts';
import type { Device } from './device/device.ts';
import { bytesPerElement, type DType, fromBytes, fromHalfBits, type HostArray, toHost } from './dtype.ts';
import { check, TensorError } from './errors.ts';
import { openScope } from './scope-stack.ts';
import { checkShape, contiguousStrides, isContiguous, type Shape, sizeOf } from './shape.ts';

/** Device memory shared by a tensor and its views. */
export interface Storage {
  readonly device: Device;
  readonly buffer: PooledBuffer;
  references: number;
}

interface TensorParts {
  readonly storage: Storage;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly strides?: readonly number[];
  readonly offset?: number;
}

/** An n-dimensional array on the device; immutable to its users, except for optimiser steps on parameters. */
export class Tensor {
  readonly storage: Storage;
  readonly shape: Shape;
  readonly dtype: DType;
  /** Elements between neighbours along each axis; 0 on a broadcast axis. */
  readonly strides: readonly number[];
  /** Index of the first element in the storage. */
  readonly offset: number;
  /** Set on parameters: gradients flow to it. */
  requiresGrad = false;
  /** How the tensor was computed, where gradients are wanted. */
  node: Node | undefined;
  private disposed = false;

  constructor({ storage, shape, dtype, strides, offset }: TensorParts) {
    this.storage = storage;
    this.shape = shape;
    this.dtype = dtype;
    this.strides = strides ?? contiguousStrides(shape);
    this.offset = offset ?? 0;
    storage.references++;
    this.track();
  }

  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** True once the memory was given back: the tensor must not be used any more. */
  get isDisposed(): boolean {
    return this.disposed;
  }

  /** True if elements lie row-major from the start of the storage, as most kernels want. */
  get isPacked(): boolean {
    return this.offset === 0 && isContiguous(this.shape, this.strides);
  }

  /** The buffer of a live tensor. @throws TensorError after dispose. */
  get buffer(): PooledBuffer {
    if (this.disposed)
      throw new TensorError('tensor', `[${this.shape}] was freed. Return it from its scope, or do not dispose it yet.`);
    return this.storage.buffer;
  }

  /** Hands the tensor to the innermost open scope; used by constructors and by scope itself. */
  track(): void {
    openScope()?.add(this);
  }

  /** Takes the tensor out of the innermost open scope, so that it lives until dispose. */
  keep(): this {
    openScope()?.delete(this);
    return this;
  }

  /** Another tensor over the same elements. */
  view(shape: Shape, strides: readonly number[] = contiguousStrides(shape), offset: number = this.offset): Tensor {
    void this.buffer;
    return new Tensor({ storage: this.storage, shape, dtype: this.dtype, strides, offset });
  }

  /** Frees the tensor; memory goes back to the pool once no view is left. Calling it twice is harmless. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.node = undefined;
    openScope()?.delete(this);
    if (--this.storage.references === 0) this.storage.device.release(this.storage.buffer);
  }

  /** Raw host values in row-major order; f16 as 16-bit patterns. Needs a packed tensor: `contiguous(x)` makes one. */
  async hostData(): Promise<HostArray> {
    check(
      'hostData',
      this.isPacked,
      () => `tensor must be packed, got strides [${this.strides}] and offset ${this.offset}. Call contiguous() first.`,
    );
    const { device } = this.storage;
    const count = this.size;
    return fromBytes(await device.read(this.buffer, count * bytesPerElement[this.dtype]), this.dtype, count);
  }

  /** Values as float32 in row-major order, whatever the dtype. Needs a packed tensor. */
  async data(): Promise<Float32Array> {
    const host = await this.hostData();
    if (host instanceof Float32Array) return host;
    return Float32Array.from(host, this.dtype === 'f16' ? fromHalfBits : Number);
  }

  /** The value of a tensor of one element. */
  async item(): Promise<number> {
    check('item', this.size === 1, () => `tensor must have one element, got [${this.shape}].`);
    return (await this.data())[0]!;
  }
}

/** An uninitialised packed tensor, to be filled by a kernel. */
export function empty(shape: Shape, dtype: DType = 'f32', device: Device = currentDevice()): Tensor {
  const sides = checkShape('empty', shape);
  const bytes = sizeOf(sides) * bytesPerElement[dtype];
  check(
    'empty',
    bytes <= device.largestTensorBytes,
    () =>
      `[${sides}] ${dtype} must fit one buffer of ${device.largestTensorBytes} bytes, got ${bytes}. Use a smaller batch${dtype === 'f32' ? ', f16' : ''}, or an adapter with larger buffers.`,
  );
  return new Tensor({ storage: { device, buffer: device.acquire(bytes), references: 0 }, shape: sides, dtype });
}

/** What a new tensor is like: f32 without a gradient on the current device by default. */
export interface TensorOptions {
  /** Type of the elements; f32 if not given. */
  readonly dtype?: DType;
  /** Gradients are wanted for it; false if not given. */
  readonly requiresGrad?: boolean;
  /** Where it lives; on the device in use if not given. */
  readonly device?: Device;
}

/** Uploads host values, row-major. @throws TensorError if the count does not match the shape. */
export function tensor(values: ArrayLike<number>, shape: Shape, options: TensorOptions = {}): Tensor {
  const { dtype = 'f32', requiresGrad = false, device = currentDevice() } = options;
  check(
    'tensor',
    values.length === sizeOf(shape),
    () => `values must number ${sizeOf(shape)} for shape [${shape}], got ${values.length}.`,
  );
  const result = empty(shape, dtype, device);
  device.write(result.buffer, toHost(values, dtype));
  result.requiresGrad = requiresGrad;
  return result;
}

/** Replaces all values of a packed tensor by host values, row-major; plans that read it see them from their next run on. */
export function assign(target: Tensor, values: ArrayLike<number>): void {
  check(
    'assign',
    target.isPacked && values.length === target.size,
    () => `values must number ${target.size} for a packed [${target.shape}], got ${values.length}.`,
  );
  target.storage.device.write(target.buffer, toHost(values, target.dtype));
}

/** Replaces all values of a packed tensor by bytes as the device stores them, shared memory too. */
export function assignBytes(target: Tensor, bytes: Uint8Array): void {
  const wanted = target.size * bytesPerElement[target.dtype];
  check(
    'assignBytes',
    target.isPacked && bytes.length === wanted,
    () => `bytes must number ${wanted} for a packed ${target.dtype} [${target.shape}], got ${bytes.length}.`,
  );
  // WebGPU uploads from memory of one thread only.
  target.storage.device.write(target.buffer, bytes.buffer instanceof ArrayBuffer ? bytes : bytes.slice());
}

/** A tensor whose elements all hold one value. */
export function full(shape: Shape, value: number, options: TensorOptions = {}): Tensor {
  return tensor(new Float32Array(sizeOf(shape)).fill(value), shape, options);
}

/** A tensor of zeros. */
export const zeros = (shape: Shape, options: TensorOptions = {}): Tensor => full(shape, 0, options);
/** A tensor of ones. */
export const ones = (shape: Shape, options: TensorOptions = {}): Tensor => full(shape, 1, options);

/** 0, 1, ..., count-1. */
export function arange(count: number, options: TensorOptions = {}): Tensor {
  return tensor(
    Float32Array.from({ length: count }, (_, i) => i),
    [count],
    options,
  );
}
