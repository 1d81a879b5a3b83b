import type { Device } from '../device/device.ts';
import type { PooledBuffer } from '../device/buffer-pool.ts';
import type { Kernel, Spec } from '../kernels/define-kernel.ts';
import type { FloatStorage, SingleStorage, Storage } from '../kernels/storage.ts';
import { type DType, isFloat } from '../dtype.ts';
import { check } from '../errors.ts';
import type { Tensor } from '../tensor.ts';

/** How kernels find a float tensor's elements: halves lie two to a word where the adapter has no half floats. */
export function floatStorageOf({ dtype, storage }: Tensor): FloatStorage {
  if (dtype !== 'f16') return 'f32';
  return storage.device.profile.f16 ? 'f16' : 'packed';
}

/** The same for tensors of any type. */
export const storageOf = (x: Tensor): Storage =>
  isFloat(x.dtype) ? floatStorageOf(x) : x.dtype === 'i32' ? 'i32' : 'u32';

/** Type in which a kernel stores single elements for a tensor of floats: halves that share a word would have two writers, and are cast behind it. */
export const singleType = (x: Tensor): DType => (floatStorageOf(x) === 'packed' ? 'f32' : x.dtype);

/** How a kernel stores single elements of that type. */
export const singleStorageOf = (x: Tensor): SingleStorage => (x.dtype === 'bool' ? 'u32' : x.dtype);

/** True if the device grants as many buffers to a shader as the kernel binds. */
export const canBind = <S extends Spec>({ bindings }: Kernel<S>, spec: S, { gpu }: Device): boolean =>
  Object.keys(bindings(spec)).length <= gpu.limits.maxStorageBuffersPerShaderStage;

interface Launch<S extends Spec> {
  readonly spec: S;
  readonly tensors: Readonly<Record<string, Tensor>>;
  readonly uniforms?: Readonly<Record<string, number>>;
  readonly grid: readonly [number, number?, number?];
}

/** Runs a kernel over tensors by binding name; the kernel sees each storage from its start. */
export function launch<S extends Spec>(kernel: Kernel<S>, { spec, tensors, uniforms, grid }: Launch<S>): void {
  const entries = Object.entries(tensors);
  const device = entries[0]![1].storage.device;
  const buffers: Record<string, PooledBuffer> = {};
  for (const [name, tensor] of entries) {
    check(
      kernel.name,
      tensor.storage.device === device,
      () => `${name} must live on the same device as its peers. Copy it over first.`,
    );
    buffers[name] = tensor.buffer;
  }
  device.dispatch(kernel, { spec, buffers, ...(uniforms && { uniforms }), grid });
}
