import { storedSize } from '@star-webgpu/tensor-webgpu';
import {
  childrenOf,
  isTorchMap,
  tensorsIn,
  TorchName,
  TorchTensor,
  type TorchValue,
} from '@star-webgpu/tensor-webgpu/torch';
import { byteSize } from '../output.ts';

/** Levels of a checkpoint's structure that are shown. */
const deepest = 3;
/** Entries of one level that are shown. */
const most = 24;

/** The nesting of a torch file, where it is more than one dictionary of tensors. */
export function structureLines(value: TorchValue | undefined): string[] {
  const children = [...childrenOf(value)];
  if (children.every(([, child]) => child instanceof TorchTensor)) return [];
  return ['', ...linesOf(children, 1)];
}

function linesOf(children: readonly (readonly [string, TorchValue])[], level: number): string[] {
  const lines = children.slice(0, most).flatMap(([name, child]) => {
    const inner = [...childrenOf(child)];
    const open = isTorchMap(child) && level < deepest && inner.some(([, one]) => !(one instanceof TorchTensor));
    return [`${'  '.repeat(level)}${short(name)}: ${summaryOf(child)}`, ...(open ? linesOf(inner, level + 1) : [])];
  });
  return [...lines, ...(children.length > most ? [`${'  '.repeat(level)}and ${children.length - most} more`] : [])];
}

const short = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}...` : text);

/** A value in a few words. */
function summaryOf(value: TorchValue): string {
  if (value instanceof TorchTensor) return `${value.dtype} [${value.shape}]`;
  if (value instanceof TorchName) return value.name;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value === 'string') return short(JSON.stringify(value));
  if (typeof value !== 'object' || value === null) return String(value);
  const tensors = tensorsIn(value);
  if (tensors.size)
    return `${tensors.size} tensors, ${byteSize([...tensors.values()].reduce((sum, tensor) => sum + storedSize(tensor), 0))}`;
  const children = [...childrenOf(value)];
  if (isTorchMap(value)) return children.length ? `dictionary of ${children.length}` : 'empty';
  return short(
    `[${children.map(([, child]) => (typeof child === 'object' && child !== null ? '...' : String(child))).join(', ')}]`,
  );
}
