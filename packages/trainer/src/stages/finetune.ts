import type { ModelFolder, Tensor } from '@star-webgpu/tensor-webgpu';
import type { StarAdapters } from '@star-webgpu/star-transformer';
import type { BatchUse, HostValues, PictureSize, Stage, StageOutput, TrainingBatch } from '../stage.ts';
import { checkModelId } from './model-id.ts';
import type { StarModels } from './star-inputs.ts';
import { StarStage, type StarStageOptions } from './star.ts';

/** How `FinetuneStage` trains. */
export interface FinetuneStageOptions extends Omit<StarStageOptions, 'trainText'> {
  /** On the transformer, which then keeps its weights; all of them learn without it. */
  readonly adapters?: StarAdapters;
  /** Tells the models apart that are finetuned: a checkpoint goes on with the one that it began with. */
  readonly modelId?: string;
}

/** Goes on with the training of a finished model on other pictures: all of its transformer, or low-rank adapters alone. */
export class FinetuneStage implements Stage {
  readonly name = 'finetune';
  private readonly inner: StarStage;
  private readonly adapters: StarAdapters | undefined;
  private readonly modelId: string | undefined;

  /** @throws Error where neither a model nor the cache makes what the transformer reads. */
  constructor(models: StarModels, { adapters, modelId, ...options }: FinetuneStageOptions) {
    this.inner = new StarStage(models, { ...options, trainText: false });
    this.adapters = adapters;
    this.modelId = modelId;
  }

  parameters(): Map<string, Tensor> {
    return this.adapters?.namedParameters('star.') ?? this.inner.parameters();
  }

  inputs(batch: TrainingBatch, draw: number, use?: BatchUse): Promise<Readonly<Record<string, HostValues>>> {
    return this.inner.inputs(batch, draw, use);
  }

  forward(inputs: Readonly<Record<string, Tensor>>, pictures: PictureSize): StageOutput {
    return this.inner.forward(inputs, pictures);
  }

  /** The transformer as it is drawn with: adapters are added to its weights. */
  async files(dtype: 'F32' | 'F16' = 'F32'): Promise<Map<string, Uint8Array>> {
    const whole = (): Promise<Map<string, Uint8Array>> => this.inner.files(dtype);
    return this.adapters ? this.adapters.merged(whole) : whole();
  }

  /** Adapters alone, where there are any: a checkpoint of them is a hundredth of the model. */
  checkpointFolder(): ModelFolder {
    if (!this.adapters) return this.inner.checkpointFolder();
    return new Map([['adapters.safetensors', { tensors: this.adapters.namedTensors() }]]);
  }

  state(): unknown {
    return { modelId: this.modelId };
  }

  /** @throws Error if the checkpoint belongs to another model. */
  restoreState(state: unknown): void {
    checkModelId(state, this.modelId);
  }
}
