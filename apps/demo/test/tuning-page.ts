import {
  createDevice,
  type Device,
  gemmCandidates,
  type GemmProblem,
  matmul,
  setDevice,
  tensor,
  tuningTable,
  type TuningTable,
} from '@star-webgpu/tensor-webgpu';
import { loadTuning, readTuning, tuneOnce, writeTuning } from '@star-webgpu/tensor-webgpu/browser';

const side = 66;
const problem: GemmProblem = {
  M: side,
  N: side,
  K: side,
  batch: 1,
  sourceA: 'rows',
  sourceB: 'rows',
  dtype: 'f32',
  run: 1,
};

async function open(): Promise<Device> {
  const device = await createDevice((await navigator.gpu.requestAdapter())!);
  setDevice(device);
  await loadTuning(device);
  return device;
}

const opening = open();

/** Tunes products of such sides; gives the kept table, and the names of what had to be measured. */
async function tuneSides(sides: readonly number[]): Promise<{ table: TuningTable; measured: string[] }> {
  const measured: string[] = [];
  const problems = sides.map((M) => ({ name: `${M}`, dtype: 'f32' as const, M, N: side, K: side }));
  const onResult = ({ name }: { readonly name: string }): void => void measured.push(name);
  const table = await tuneOnce(await opening, problems, { budget: 20, onResult });
  return { table, measured };
}

/** Keeps a tile of another back end than the built-in one's for a product; gives the back end. */
async function keepAnother(): Promise<string> {
  const device = await opening;
  const [builtIn, ...others] = gemmCandidates(problem, device).map(({ tile }) => tile);
  const tile = others.find(({ backend }) => backend !== builtIn!.backend)!;
  await writeTuning(device, { ...tuningTable(device, []), entries: [{ problem, tile }] });
  return tile.backend;
}

/** Names of the pipelines that the product takes. */
async function pipelinesOf(): Promise<string[]> {
  const device = await opening;
  const names: string[] = [];
  const compile = device.gpu.createShaderModule.bind(device.gpu);
  device.gpu.createShaderModule = (descriptor) => {
    names.push(descriptor.label!.split('|')[0]!);
    return compile(descriptor);
  };
  const ones = tensor(new Float32Array(side * side).fill(1), [side, side]);
  const values = await matmul(ones, ones).data();
  if (values.some((value) => value !== side)) throw new Error(`the product must be ${side}, got ${values}`);
  return names;
}

/** What the tests call. */
export const page = { tuneSides, keepAnother, pipelinesOf, read: async () => readTuning(await opening) };
Object.assign(globalThis, { page });
