import { openGpu } from '@star-webgpu/tensor-webgpu/node';
import type { Candidate, Library, Work } from '../harness/row.ts';
import { installBrowserGlobals } from './browser-globals.ts';
import { loadJax } from './jax.ts';
import { loadOnnx } from './onnx.ts';
import { loadTfjs } from './tfjs.ts';

export type PeerKind = 'webgpu' | 'wasm';

/** A back end of another library. */
export interface Peer {
  readonly name: string;
  readonly library: Library;
  readonly kind: PeerKind;
  /** A row's work on this back end. @throws what kept the back end from starting, or from running the work. */
  readonly candidate: (name: string, work: Work) => Promise<Candidate>;
}

/** Sets up the peers on the adapter that we use, with our switches; onnxruntime brings its own Dawn. One that does not start says so in every row. */
export async function loadPeers(gpu: GPU): Promise<Peer[]> {
  installBrowserGlobals(sharedGpu(gpu));
  return [
    await peerOf({ name: 'jax-js webgpu', library: 'jax', kind: 'webgpu' }, () => loadJax('webgpu')),
    await peerOf({ name: 'tfjs webgpu', library: 'tfjs', kind: 'webgpu' }, () => loadTfjs('webgpu')),
    await peerOf({ name: 'onnxruntime webgpu', library: 'onnx', kind: 'webgpu' }, loadOnnx),
    await peerOf({ name: 'jax-js wasm', library: 'jax', kind: 'wasm' }, () => loadJax('wasm')),
    await peerOf({ name: 'tfjs wasm', library: 'tfjs', kind: 'wasm' }, () => loadTfjs('wasm')),
  ];
}

/** Our GPU, whose every request opens the adapter that ours is on: an adapter gives out one device only. */
const sharedGpu = (gpu: GPU): GPU =>
  new Proxy(gpu, {
    get: (target, key) =>
      key === 'requestAdapter' ? async () => (await openGpu()).adapter : Reflect.get(target, key, target),
  });

type Build = (name: string, build: never) => Candidate | Promise<Candidate>;

async function peerOf(peer: Omit<Peer, 'candidate'>, load: () => Promise<Build>): Promise<Peer> {
  try {
    const build = await load();
    return { ...peer, candidate: async (name, work) => build(name, work.build as never) };
  } catch (error) {
    return { ...peer, candidate: () => Promise.reject(error as Error) };
  }
}
