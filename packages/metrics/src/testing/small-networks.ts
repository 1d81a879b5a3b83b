import { type HostTensor, hostTensor, type Module, writeSafetensors } from '@star-webgpu/tensor-webgpu';
import { hashedValues } from '@star-webgpu/tensor-webgpu/testing';
import { ClipText, trainBpe } from '@star-webgpu/text-encoder';
import { parseClipConfig } from '../clip/config.ts';
import { ClipVision } from '../clip/vision.ts';
import { type InceptionConfig, inceptionConfig } from '../inception/config.ts';
import type { Inception } from '../inception/inception.ts';
import { inceptionOf, inceptionShapes } from '../inception/weights.ts';

/** A small network of the same form with hashed weights that keep the size of its activations. */
export function randomInception(given: Partial<InceptionConfig> = {}): Inception {
  const config = inceptionConfig({ classes: 10, ...given });
  const weights = [...inceptionShapes(config)].map(([name, shape]) => {
    const count = shape.reduce((product, side) => product * side, 1);
    const fanIn = count / shape[0]!;
    const [scale, offset] = name.includes('.bn.') ? [0.1, /weight|var/.test(name) ? 1 : 0] : [Math.sqrt(6 / fanIn), 0];
    return [name, hostTensor(hashedValues(`small/${name}`, count, scale, offset), shape)] as const;
  });
  return inceptionOf(config, new Map(weights));
}

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

/** The files of a small CLIP model with hashed weights, in Hugging Face layout. Needs a device. */
export function smallClipFiles(): Map<string, Uint8Array> {
  const config = parseClipConfig(clipConfig);
  const towers = [new ClipText(config.text), new ClipVision(config)];
  const weights = new Map(towers.flatMap((tower) => [...hashedWeights(tower)]));
  for (const tower of towers) tower.dispose();
  const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  return new Map([
    ['config.json', bytes(clipConfig)],
    ['tokenizer.json', bytes(trainBpe(['red apple', 'red apple'], { vocabSize: 520 }))],
    ['model.safetensors', writeSafetensors(weights)],
  ]);
}

/** Values for every tensor of a model: norms near one, others small. */
function* hashedWeights(model: Module): Generator<[string, HostTensor]> {
  for (const [name, { shape, size }] of model.namedTensors()) {
    const offset = /norm.*\.weight$/.test(name) ? 1 : 0;
    yield [name, hostTensor(hashedValues(`small/${name}`, size, 0.4, offset), shape)];
  }
}
