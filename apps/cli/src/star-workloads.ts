import { finishedPictures, generate, type GuidedText, SamplingPlans } from '@star-webgpu/sampler';
import { Star, type StarConfig, starConfig } from '@star-webgpu/star-transformer';
import {
  abs,
  add,
  currentDevice,
  hostRandom,
  mul,
  noGrad,
  ones,
  plan,
  seedWords,
  sub,
  type Tensor,
  tensor,
} from '@star-webgpu/tensor-webgpu';
import type { TextFeatures } from '@star-webgpu/text-encoder';
import {
  AdamW,
  type HostValues,
  type Stage,
  type StageOutput,
  type TrainingBatch,
  TrainStep,
  type TrainStepOptions,
} from '@star-webgpu/trainer';
import { Vqvae, vqvaeConfig } from '@star-webgpu/vqvae';
import { patchNumberPresets, tokenCount } from '@star-webgpu/vqvae/scales';
import type { SizedWorkload, Workload } from './workloads.ts';

/** A STAR of depth 4 and width 256 for 256 px pictures: small enough for a software adapter, with every part of a large one. */
const config: StarConfig = starConfig({
  patchNumbers: patchNumberPresets['256'],
  depth: 4,
  width: 256,
  heads: 4,
  textWidth: 1024,
  codeWidth: 32,
  codebookSize: 4096,
});
const textTokens = 77;
const size = `depth ${config.depth}, width ${config.width}, ${tokenCount(config.patchNumbers)} tokens`;

/**
 * Whole training steps of a small STAR as the trainer runs them: forward, cross-entropy, backward, clip, AdamW; tokens and text are drawn
 * once. `flops` are three times those of the forward pass.
 */
export function starStepWork(batch = 2, options: TrainStepOptions = {}): SizedWorkload {
  const star = new Star(config);
  const stage = new DrawnStage(star, batch);
  const optimizer = new AdamW(stage.parameters());
  const trainStep = new TrainStep(stage, optimizer, options);
  let step = 0;
  const run = async (): Promise<void> => {
    const numbers = { step: step++, learningRate: 1e-4, weightDecay: 0.05, clipNorm: 2 };
    const { loss } = await trainStep.run([noPictures], numbers);
    if (!Number.isFinite(loss)) throw new Error(`starStepWork: the loss must be finite, got ${loss}.`);
  };
  const dispose = (): void => [trainStep, optimizer, star].forEach((part) => part.dispose());
  const flops =
    3 * batch * (forwardFlops(config) + 2 * tokenCount(config.patchNumbers) * config.width * config.codebookSize);
  return { name: `STAR training step: ${size}, text ${textTokens}x1024, batch ${batch}`, flops, run, dispose };
}

/** One 256 px picture with guidance, drawn by a small STAR and decoded by a VQVAE of 32 channels; weights are random. */
export function starSamplingWork(): Workload {
  const plans = new SamplingPlans();
  const models = { star: new Star(config).freeze(), vqvae: new Vqvae(vqvaeConfig({ channels: 32 })).freeze(), plans };
  const text: GuidedText = { conditional: drawnText(1, 1), unconditional: drawnText(1, 2) };
  const run = async (): Promise<void> => {
    await finishedPictures(models, generate(models, text, { guidance: 4, seed: 1 }));
  };
  const dispose = (): void => {
    for (const { states, mask, pooled } of [text.conditional, text.unconditional])
      for (const part of [states, mask, pooled]) part.dispose();
    for (const part of [plans, models.star, models.vqvae]) part.dispose();
  };
  return { name: `STAR sampling: ${size}, one 256 px picture with guidance, VQVAE of 32 channels`, run, dispose };
}

/** A forward pass of a small STAR over the pyramid of a picture size; `flops` are those of its products and of the pairs that attention lets through. */
export function starForwardWork(patchNumbers: readonly number[]): SizedWorkload {
  const small = starConfig({ ...config, patchNumbers, depth: 2, width: 128, heads: 2, codebookSize: 512 });
  const star = new Star(small).freeze();
  const text = drawnText(1, 1);
  const L = tokenCount(patchNumbers);
  const input_BlZ = tensor(drawn((L - 1) * small.codeWidth, 4), [1, L - 1, small.codeWidth]).keep();
  const forward = plan(() => noGrad(() => star.features({ input_BlZ, text })));
  const run = async (): Promise<void> => {
    forward.run();
    await currentDevice().idle();
  };
  const dispose = (): void => {
    for (const part of [forward, star, input_BlZ, text.states, text.mask, text.pooled]) part.dispose();
  };
  return { name: `STAR forward: ${L} tokens, depth 2, width 128`, flops: forwardFlops(small), run, dispose };
}

/** Products of every token with the blocks' matrices, attention over visible pairs and over the text, and the text's keys and values. */
function forwardFlops({ depth, width, textWidth, codeWidth, mlpRatio, patchNumbers }: StarConfig): number {
  const L = tokenCount(patchNumbers);
  const ends = patchNumbers.map((_, i) => tokenCount(patchNumbers.slice(0, i + 1)));
  const pairs = patchNumbers.reduce((sum, side, i) => sum + side * side * ends[i]!, 0) + L * textTokens;
  const matrices = L * width * width * (6 + 2 * mlpRatio) + 2 * textTokens * textWidth * width;
  return 2 * (L * codeWidth * width + depth * (matrices + 2 * pairs * width));
}

/** Replays until V8 has compiled the loop for good. */
const compiledAfter = 30;

/** The host's part of a replayed plan of so many small dispatches over four pipelines: it resolves once all is submitted. */
export function replayWork(dispatches: number): Workload & { readonly before: () => Promise<void> } {
  const x = ones([64]).keep();
  const small = [
    (y: Tensor): Tensor => add(y, 1),
    (y: Tensor): Tensor => mul(y, 0.5),
    (y: Tensor): Tensor => sub(y, x),
    (y: Tensor): Tensor => abs(y),
  ];
  const chain = plan(() => Array.from({ length: dispatches }, (_, i) => small[i % 4]!).reduce((y, op) => op(y), x));
  // A training replays thousands of times: what counts is the loop once it is compiled and its memory is near.
  for (let i = 0; i < compiledAfter; i++) chain.run();
  const before = async (): Promise<void> => {
    chain.run();
    await currentDevice().idle();
  };
  const dispose = (): void => {
    for (const part of [chain, x]) part.dispose();
  };
  return { name: `host time to replay ${dispatches} dispatches`, before, run: async () => chain.run(), dispose };
}

/** The stage below draws its batches itself. */
const noPictures: TrainingBatch = {
  images: new Float32Array(0),
  shape: [0, 3, 256, 256],
  captions: [],
  keys: [],
  cursor: { epoch: 0, step: 0 },
};

/** Values like those of real features, from a seed. */
const drawn = (count: number, seed: number): Float32Array => {
  const random = hostRandom(seed);
  return Float32Array.from({ length: count }, () => random.normal());
};

function drawnText(B: number, seed: number): TextFeatures {
  const { textWidth } = config;
  return {
    states: tensor(drawn(B * textTokens * textWidth, seed), [B, textTokens, textWidth]).keep(),
    mask: ones([B, textTokens], { dtype: 'u32' }).keep(),
    pooled: tensor(drawn(B * textWidth, seed + 10), [B, textWidth]).keep(),
  };
}

/** The STAR stage without pictures and captions: their tokens and features are drawn from a seed. */
class DrawnStage implements Stage {
  readonly name = 'star';
  private readonly star: Star;
  private readonly drawnInputs: Readonly<Record<string, HostValues>>;

  constructor(star: Star, B: number) {
    this.star = star;
    const { patchNumbers, codeWidth, codebookSize, textWidth } = star.config;
    const L = tokenCount(patchNumbers);
    const random = hostRandom(3);
    const targets = Uint32Array.from({ length: B * L }, () => Math.floor(random.uniform() * codebookSize));
    this.drawnInputs = {
      targets_BL: { values: targets, shape: [B, L] },
      input_BlZ: { values: drawn(B * (L - 1) * codeWidth, 4), shape: [B, L - 1, codeWidth] },
      states: { values: drawn(B * textTokens * textWidth, 5), shape: [B, textTokens, textWidth] },
      mask: { values: new Uint32Array(B * textTokens).fill(1), shape: [B, textTokens] },
      pooled: { values: drawn(B * textWidth, 6), shape: [B, textWidth] },
    };
  }

  parameters(): Map<string, Tensor> {
    return this.star.namedParameters('star.');
  }

  async inputs(_: TrainingBatch, draw: number): Promise<Readonly<Record<string, HostValues>>> {
    return { ...this.drawnInputs, seed: { values: seedWords([draw]), shape: [1, 2] } };
  }

  forward(inputs: Readonly<Record<string, Tensor>>): StageOutput {
    const { targets_BL, input_BlZ, seed, states, mask, pooled } = inputs as Record<string, Tensor> & TextFeatures;
    const text = { states, mask, pooled };
    const features_BLC = this.star.features({ input_BlZ: input_BlZ!, text, dropPathSeed: seed! });
    return { loss: this.star.loss(features_BLC, targets_BL!).loss, metrics: {} };
  }

  files(): Promise<Map<string, Uint8Array>> {
    return Promise.reject(new Error('files: a drawn stage must not be saved. Use StarStage.'));
  }

  checkpointFolder(): never {
    throw new Error('checkpointFolder: a drawn stage must not be saved. Use StarStage.');
  }
}
