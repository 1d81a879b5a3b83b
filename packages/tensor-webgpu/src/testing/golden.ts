import { readFile } from 'node:fs/promises';
import { hostFloats } from '../io/host-tensor.ts';
import { readSafetensors } from '../io/safetensors.ts';
import type { Shape } from '../shape.ts';

/** A reference tensor: shape and values. */
export interface GoldenTensor {
  readonly shape: Shape;
  readonly values: Float32Array;
}

/** Reads a safetensors file of reference numbers. */
export async function loadGolden(url: URL): Promise<Map<string, GoldenTensor>> {
  const tensors = readSafetensors(await readFile(url));
  return new Map([...tensors].map(([name, host]) => [name, { shape: host.shape, values: hostFloats(host) }]));
}

/** Reads a JSON file of reference numbers. */
export async function loadGoldenJson<T>(url: URL): Promise<T> {
  return JSON.parse(await readFile(url, 'utf8')) as T;
}
