import type { DType } from '../dtype.ts';
import { bytesPerElement } from '../dtype.ts';
import { check } from '../errors.ts';
import { isContiguous } from '../shape.ts';
import { type Tensor, tensor } from '../tensor.ts';
import { type HostTensor, hostValues, type StoredDType } from './host-tensor.ts';
import { readStored, type StoredTensor } from './stored-tensor.ts';

/** How tensors of the device are stored without converting them. */
const storedAs: Readonly<Record<DType, StoredDType>> = { f32: 'F32', f16: 'F16', i32: 'I32', u32: 'U32', bool: 'U32' };

const bytesOf = ({ size, dtype }: Tensor): number => size * bytesPerElement[dtype];

/**
 * Host copies of tensors as they are at the call, one after the other as they arrive: what the device does next does not change them.
 * @param tensors contiguous ones of one device, views among them
 */
export function snapshot(tensors: readonly Tensor[]): AsyncGenerator<HostTensor, void> {
  for (const one of tensors) checkContiguous('snapshot', one);
  const ranges = tensors.map((one) => ({
    source: one.buffer,
    offset: one.offset * bytesPerElement[one.dtype],
    bytes: bytesOf(one),
  }));
  return described(tensors, tensors[0]?.storage.device.readEach(ranges));
}

async function* described(
  tensors: readonly Tensor[],
  copies: AsyncIterable<ArrayBuffer> = noCopies(),
): AsyncGenerator<HostTensor, void> {
  let next = 0;
  for await (const copy of copies) {
    const one = tensors[next++]!;
    yield { dtype: storedAs[one.dtype], shape: one.shape, bytes: new Uint8Array(copy, 0, bytesOf(one)) };
  }
}

async function* noCopies(): AsyncGenerator<ArrayBuffer, void> {}

/** Bytes that are handed to the device before it is waited for: until then they take memory once more. */
const mostWaitingBytes = 256 * 2 ** 20;

/** Puts stored values into the tensors of the same names, contiguous ones, with one of them after the other in memory. */
export async function loadTensors(
  tensors: ReadonlyMap<string, Tensor>,
  stored: ReadonlyMap<string, StoredTensor>,
): Promise<void> {
  let waiting = 0;
  for (const [name, target] of tensors) {
    const values = hostValues(await readStored(stored.get(name)!), target.dtype);
    putValues(target, values);
    waiting += values.byteLength;
    if (waiting < mostWaitingBytes) continue;
    await target.storage.device.idle();
    waiting = 0;
  }
}

/** Writes all values of a contiguous tensor; those of a view go by way of a tensor of their own. */
function putValues(target: Tensor, values: ReturnType<typeof hostValues>): void {
  checkContiguous('loadTensors', target);
  const { device } = target.storage;
  if (target.isPacked) return device.write(target.buffer, values);
  const passing = tensor(values, target.shape, { dtype: target.dtype, device });
  device.copy(passing.buffer, 0, target.buffer, target.offset * bytesPerElement[target.dtype], bytesOf(target));
  passing.dispose();
}

const checkContiguous = (op: string, { shape, strides }: Tensor): void =>
  check(
    op,
    isContiguous(shape, strides),
    () => `tensors must be contiguous, got [${shape}] with strides [${strides}]. Call contiguous() first.`,
  );
