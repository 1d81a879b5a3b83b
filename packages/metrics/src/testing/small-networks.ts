import {
  type HostRandom,
  hostRandom,
  type HostTensor,
  hostTensor,
  initNormal,
  type Module,
  type Shape,
  writeSafetensors,
} from '@star-webgpu/tensor-webgpu';
import { ClipText, trainBpe } from '@star-webgpu/text-encoder';
import { parseClipConfig } from '../clip/config.ts';
import { ClipVision } from '../clip/vision.ts';
import { type InceptionConfig, inceptionConfig } from '../inception/config.ts';
import type { Inception } from '../inception/inception.ts';
import { inceptionOf, inceptionShapes } from '../inception/weights.ts';
import { type LpipsConfig, lpipsConfig } from '../lpips/config.ts';
import { Lpips } from '../lpips/lpips.ts';

/** A network's folder: files by name. */
export type NetworkFiles = ReadonlyMap<string, Uint8Array>;

const jsonFile = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value)}\n`);

/** Normal values that keep the size of activations behind a ReLU; `fan` is what feeds one output. */
const kaiming = (random: HostRandom, shape: Shape): HostTensor => {
  const fan = shape.slice(1).reduce((product, side) => product * side, 1);
  return hostTensor(initNormal(random, Math.sqrt(2 / fan))(shape), shape);
};

const spread = (
  random: HostRandom,
  shape: Shape,
  { mean, deviation }: { mean: number; deviation: number },
): HostTensor =>
  hostTensor(
    initNormal(random, deviation)(shape).map((value) => value + mean),
    shape,
  );

function inceptionWeights(config: InceptionConfig): Map<string, HostTensor> {
  const random = hostRandom(1);
  return new Map(
    [...inceptionShapes(config)].map(([name, shape]) => {
      if (name === 'fc.bias' || !name.includes('.bn.'))
        return [name, shape.length > 1 ? kaiming(random, shape) : spread(random, shape, { mean: 0, deviation: 0.1 })];
      const positive = /bn\.weight$|running_var$/.test(name);
      return [name, spread(random, shape, { mean: positive ? 1 : 0, deviation: 0.05 })];
    }),
  );
}

const smallInception = { channelDivisor: 16, side: 75, classes: 10 } as const;

/** An Inception network of the published form with a sixteenth of its channels and random weights, for tests. */
export const randomInception = (given: Partial<InceptionConfig> = {}): Inception => {
  const config = inceptionConfig({ ...smallInception, ...given });
  return inceptionOf(config, inceptionWeights(config));
};

/** The folder of such a network. */
export const smallInceptionFiles = (): NetworkFiles =>
  new Map([
    ['config.json', jsonFile(smallInception)],
    ['model.safetensors', writeSafetensors(inceptionWeights(inceptionConfig(smallInception)))],
  ]);

const clipConfig = {
  text_config: {
    vocab_size: 520,
    hidden_size: 16,
    intermediate_size: 32,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    max_position_embeddings: 20,
    eos_token_id: 519,
  },
  vision_config: {
    image_size: 32,
    patch_size: 8,
    hidden_size: 24,
    intermediate_size: 48,
    num_hidden_layers: 2,
    num_attention_heads: 2,
  },
  projection_dim: 12,
};

/** The folder of a small CLIP model with random weights, in Hugging Face layout. Needs a device. */
export function smallClipFiles(): NetworkFiles {
  const config = parseClipConfig(clipConfig);
  return new Map([
    ['config.json', jsonFile(clipConfig)],
    ['tokenizer.json', jsonFile(trainBpe(['red apple', 'red apple'], { vocabSize: 520 }))],
    ['model.safetensors', randomWeights([new ClipText(config.text), new ClipVision(config)])],
  ]);
}

/** The folder of an LPIPS network of the published form with a sixteenth of its channels and random weights. Needs a device. */
export function smallLpipsFiles(network: LpipsConfig['network'] = 'alexnet'): NetworkFiles {
  const config = lpipsConfig({ network, channelDivisor: 16 });
  return new Map([
    ['config.json', jsonFile(config)],
    ['model.safetensors', randomWeights([new Lpips(config)])],
  ]);
}

/** Values for every tensor of some models, which are freed: norms near one, shares of LPIPS above zero. */
function randomWeights(models: readonly Module[]): Uint8Array {
  const random = hostRandom(2);
  const weights = new Map<string, HostTensor>();
  for (const model of models) {
    for (const [name, { shape }] of model.namedTensors()) weights.set(name, randomTensor(random, name, shape));
    model.dispose();
  }
  return writeSafetensors(weights);
}

function randomTensor(random: HostRandom, name: string, shape: Shape): HostTensor {
  if (/norm.*\.weight$/.test(name)) return spread(random, shape, { mean: 1, deviation: 0.1 });
  if (/^lin\d/.test(name)) return spread(random, shape, { mean: 1, deviation: 0.1 });
  return shape.length > 1 ? kaiming(random, shape) : spread(random, shape, { mean: 0, deviation: 0.1 });
}
