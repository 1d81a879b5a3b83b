import type { Shape, StoredTensor } from '@star-webgpu/tensor-webgpu';
import type { OwnConfig } from './own-config.ts';
import type { Kind } from './recognise.ts';

/** What a user may say about a conversion. */
export interface ConversionOptions {
  /** Config of the source, where it is a folder of ours: what the other options do not say, it says. */
  readonly own?: OwnConfig;
  /** Sides of the token maps of the result; those of the file by default. */
  readonly patchNumbers?: readonly number[];
  /** Seed of rows that the file does not have. */
  readonly seed: number;
  /** Whose text a picture of a batch sees; the first one's by default, as with released weights. */
  readonly crossAttention?: 'first-sample' | 'per-sample';
  /** False leaves a refiner out. */
  readonly refiner: boolean;
  /** Index of the first scale that the refiner predicts; the published one by default. */
  readonly sampleFrom?: number;
  /** Folder of the tokenizer, where it is not beside the weights. */
  readonly tokenizer?: string;
  /** File of the weights of LPIPS's layers, where they are not in the network's. */
  readonly lpipsWeights?: string;
}

/** A model of ours made of a file's tensors: what its folder will hold. */
export interface Conversion {
  readonly kind: Kind;
  /** The model in words, with its size. */
  readonly title: string;
  /** Files of the folder beside the weights. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Tensors of the file by the model's names, and others that may be there. */
  readonly weights: ReadonlyMap<string, StoredTensor>;
  /** Names among them that the model does not use. */
  readonly unused: RegExp;
  /** Names and shapes that the model needs. */
  readonly shapes: ReadonlyMap<string, Shape>;
  /** Loads the finished folder onto the device. */
  readonly load: (read: (path: string) => Promise<Uint8Array>) => Promise<{ dispose(): void }>;
  /** What was done that the user should know. */
  readonly notes: readonly string[];
}
