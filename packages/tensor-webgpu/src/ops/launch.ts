import type { PooledBuffer } from '../device/buffer-pool.ts';
import type { Kernel, Spec } from '../kernels/define-kernel.ts';
import { check } from '../errors.ts';
import type { Tensor } from '../tensor.ts';

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
