import type { ModelFolder, Tensor } from '@star-webgpu/tensor-webgpu';

/** Pictures with a caption each, as a loader gives them. */
export interface TrainingBatch {
  /** [B, 3, H, W] in [-1, 1], row-major. */
  readonly images: Float32Array;
  readonly shape: readonly [number, number, number, number];
  readonly captions: readonly string[];
  /** Names of the pictures, the same whenever they come again. */
  readonly keys: readonly string[];
  /** The place behind this batch, to go on from. */
  readonly cursor: { readonly epoch: number; readonly step: number };
}

/** Height and width in pixels of a batch's pictures. */
export interface PictureSize {
  readonly height: number;
  readonly width: number;
}

/** Values that a step uploads: f32 or u32 by the kind of array. */
export interface HostValues {
  readonly values: Float32Array | Uint32Array;
  readonly shape: readonly number[];
}

/** What the inputs of a batch are for. */
export interface BatchUse {
  /** Nothing is dropped, and `draw` counts the batches of the evaluation. */
  readonly evaluating?: boolean;
  /** Place of the batch's first picture in the batch that all ranks share; 0 if not given. */
  readonly first?: number;
}

/** What a step let its host observe: of all ranks, along the first axis in their order. */
export interface Observed {
  /** Copies the numbers to the host. */
  data(): Promise<Float32Array>;
}

/** What one forward pass of training gives. */
export interface StageOutput {
  /** What is minimised, f32 []. */
  readonly loss: Tensor;
  /** Numbers to log, f32 [] each, or [n] for one of each scale: `name/1` to `name/n`. */
  readonly metrics: Readonly<Record<string, Tensor>>;
  /** What `afterStep` wants to see; the first axis is the batch's. */
  readonly observed?: readonly Tensor[];
}

/** A network that learns against a stage's own, with an optimiser of its own: a discriminator. */
export interface Opponent {
  /** Everything of it that is trained, by name. The stage's loss has its gradients too; zeros as long as it does not take part. */
  parameters(): Map<string, Tensor>;
  /** Of its AdamW. */
  readonly betas: readonly [number, number];
  /** Its learning rate as a multiple of the stage's. */
  readonly rate: number;
}

/** A kind of training: what is trained, on what loss, and how it is stored. */
export interface Stage {
  readonly name: string;
  /** Everything that is trained, by name. */
  parameters(): Map<string, Tensor>;
  readonly opponent?: Opponent | undefined;
  /**
   * All that `forward` reads of a batch. `draw` numbers the batches of a run: what is drawn at random for a picture depends on it, the seed
   * and the picture's place in the batch of all ranks. May run the device itself: tokens, cached features.
   */
  inputs(batch: TrainingBatch, draw: number, use?: BatchUse): Promise<Readonly<Record<string, HostValues>>>;
  /**
   * Loss of a batch from its inputs on the device, recorded. It is planned once for each size of pictures and shape of inputs, and
   * replayed: everything else that changes comes in the inputs.
   */
  forward(inputs: Readonly<Record<string, Tensor>>, pictures: PictureSize): StageOutput;
  /** Host work behind a step, with what each of its batches let it observe. Returns numbers to log. */
  afterStep?(step: number, observed: readonly (readonly Observed[])[]): Promise<Readonly<Record<string, number>>>;
  /** Files of the model, by path inside its folder. */
  files(dtype?: 'F32' | 'F16'): Promise<Map<string, Uint8Array>>;
  /** What a checkpoint has of the model, by path inside its folder: all tensors that move, and what describes them. */
  checkpointFolder(): ModelFolder;
  /** What else a resumed run needs, as JSON. */
  state?(): unknown;
  /** Goes on from such a state. */
  restoreState?(state: unknown): void;
}
