import { throttledWait } from '@star-webgpu/tensor-webgpu/node';
import type { Candidate, Jax, JaxArray, Step } from '../harness/row.ts';
import type { PeerKind } from './index.ts';

/** jax-js on one of its devices. @throws Error if it has no such device here. */
export async function loadJax(
  kind: PeerKind,
): Promise<(name: string, build: (jax: Jax) => Step<JaxArray>) => Candidate> {
  const jax = await import('@jax-js/jax');
  const found = await jax.init(kind);
  if (!found.includes(kind)) throw new Error(`jax-js finds no device ${kind}, only ${found.join(', ')}`);
  return (name, build) => {
    jax.defaultDevice(kind);
    return candidateOf(jax, kind, { name, ...build(jax) });
  };
}

/** A step compiled by jax.jit. jax-js frees what a function is given, so every call gets new references to the inputs. */
function candidateOf(
  jax: Jax,
  kind: PeerKind,
  { name, inputs, step, toOurs = (outputs) => outputs }: Step<JaxArray> & { readonly name: string },
): Candidate {
  const compiled = jax.jit((...given: JaxArray[]) => [...step(...given)]);
  const call = (): JaxArray[] => compiled(...inputs.map((input) => input.ref));
  return {
    name,
    kind,
    before: async () => void jax.defaultDevice(kind),
    run: async () => {
      const results = call();
      await waitOn(kind, jax.blockUntilReady(results));
      for (const result of results) result.dispose();
    },
    outputs: async () => {
      const outputs: Float32Array[] = [];
      for (const result of call()) outputs.push(Float32Array.from(await waitOn(kind, result.data())));
      return toOurs(outputs);
    },
    dispose: () => {
      compiled.dispose();
      for (const input of inputs) input.dispose();
    },
  };
}

/** On the GPU, waiting must leave the cores to the adapter, as ours does. */
const waitOn = <T>(kind: PeerKind, pending: Promise<T>): Promise<T> =>
  kind === 'webgpu' ? throttledWait(pending) : pending;
