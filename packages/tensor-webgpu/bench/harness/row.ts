import type { Tensor } from '@star-webgpu/tensor-webgpu';
import type * as JaxModule from '@jax-js/jax';
import type * as TfModule from '@tensorflow/tfjs-core';
import type { OnnxWork } from '../peers/onnx-model.ts';

export type Jax = typeof JaxModule;
export type JaxArray = JaxModule.Array;
export type Tf = typeof TfModule;
export type TfTensor = TfModule.Tensor;

/** What runs a row's work: our library, a peer on the GPU API, or a peer's WebAssembly back end. */
export type Kind = 'ours' | 'webgpu' | 'wasm';

/** Something that can be timed. */
export interface Candidate {
  readonly name: string;
  readonly kind: Kind;
  /** Floating-point operations of a run. */
  readonly flops?: number;
  /** Makes ready for a run; not timed. */
  readonly before?: () => Promise<void>;
  /** One run; resolves when the device has finished. */
  readonly run: () => Promise<void>;
  /** One run with its results, in the layout of ours; absent where there is nothing to compare. */
  readonly outputs?: () => Promise<readonly Float32Array[]>;
  readonly dispose: () => Promise<void> | void;
}

/** A computation in some library's terms: its inputs, uploaded once, and a step from them to the results that are compared. */
export interface Step<T> {
  readonly inputs: readonly T[];
  readonly step: (...inputs: T[]) => readonly T[];
  /** Brings results on the host into the layout of ours. */
  readonly toOurs?: (outputs: readonly Float32Array[]) => readonly Float32Array[];
}

/** How each library does a row's work. */
interface Builds {
  readonly ours: () => Step<Tensor>;
  /** Compiled by jax.jit. */
  readonly jax: (jax: Jax) => Step<JaxArray>;
  /** Run inside tf.tidy. */
  readonly tfjs: (tf: Tf) => Step<TfTensor>;
  readonly onnx: () => OnnxWork;
}

export type Library = keyof Builds;

/** Which back ends of a library take a work; all if not said. */
interface Options {
  /** Added to the name of the contender. */
  readonly label?: string;
  readonly kinds?: readonly Kind[];
}

export type Work = { [L in Library]: { readonly library: L; readonly build: Builds[L] } & Options }[Library];

/** A library that takes no part in a row, and why. */
export interface LeftOut {
  readonly library: Library;
  readonly why: string;
}

/** A goal of a row: how many times faster than the best WebGPU peer ours is to be, at equal work. */
type Goal = number;

/** One line of the benchmark: the same mathematics in every library. */
export interface Row {
  readonly name: string;
  /** What is done, in a few words. */
  readonly about: string;
  /** Floating-point operations that the result takes. */
  readonly flops: number;
  /** Floating-point operations of the peers, where they do more. */
  readonly peerFlops?: number;
  /** Largest relative error of a peer's result against ours. */
  readonly tolerance: number;
  readonly goal?: Goal;
  /** Ours first. */
  readonly works: () => readonly (Work | LeftOut)[];
}
