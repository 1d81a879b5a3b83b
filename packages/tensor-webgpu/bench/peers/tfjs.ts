import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { throttledWait } from '@star-webgpu/tensor-webgpu/node';
import type { Candidate, Step, Tf, TfTensor } from '../harness/row.ts';
import type { PeerKind } from './index.ts';
import { allowBundlerImports } from './module-hooks.ts';

/** TensorFlow.js on one of its back ends. @throws Error if the back end does not start. */
export async function loadTfjs(
  kind: PeerKind,
): Promise<(name: string, build: (tf: Tf) => Step<TfTensor>) => Promise<Candidate>> {
  const tf = await import('@tensorflow/tfjs-core');
  allowBundlerImports();
  await import('@tensorflow/tfjs-core/dist/register_all_gradients.js');
  if (kind === 'webgpu') await import('@tensorflow/tfjs-backend-webgpu');
  else await loadWasm();
  if (!(await tf.setBackend(kind))) throw new Error(`tfjs cannot start its back end ${kind}`);
  await tf.ready();
  return async (name, build) => {
    await tf.setBackend(kind);
    return candidateOf(tf, kind, { name, ...build(tf) });
  };
}

async function loadWasm(): Promise<void> {
  const wasm = await import('@tensorflow/tfjs-backend-wasm');
  wasm.setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`);
  wasm.setThreadsCount(availableParallelism());
}

function candidateOf(
  tf: Tf,
  kind: PeerKind,
  { name, inputs, step, toOurs = (outputs) => outputs }: Step<TfTensor> & { readonly name: string },
): Candidate {
  const call = (): TfTensor[] => tf.tidy(() => [...step(...inputs)]);
  const read = async (x: TfTensor): Promise<Float32Array> => {
    const values = kind === 'webgpu' ? throttledWait(x.data()) : x.data();
    return (await values) as Float32Array;
  };
  return {
    name,
    kind,
    before: async () => void (await tf.setBackend(kind)),
    run: async () => {
      const results = call();
      await read(tf.tidy(() => cornerOf(tf, results.at(-1)!)));
      tf.dispose(results);
    },
    outputs: async () => {
      const results = call();
      const outputs: Float32Array[] = [];
      for (const result of results) outputs.push(await read(result));
      tf.dispose(results);
      return toOurs(outputs);
    },
    dispose: () => tf.dispose([...inputs]),
  };
}

/** One element: reading it waits for all that was queued before it. */
const cornerOf = (tf: Tf, x: TfTensor): TfTensor =>
  tf.slice(
    x,
    x.shape.map(() => 0),
    x.shape.map(() => 1),
  );
