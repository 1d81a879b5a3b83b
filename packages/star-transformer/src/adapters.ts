import {
  clone,
  type HostTensor,
  hostRandom,
  initFanIn,
  jsonFile,
  Linear,
  LowRank,
  Module,
  type ReadFile,
  readBytes,
  readSafetensors,
  readText,
  writeSafetensors,
  writeSlice,
} from '@star-webgpu/tensor-webgpu';
import type { Star } from './star.ts';

/** The layers of a block that may have an adapter, by the ends of their names. */
export const adapterTargets = [
  'attn.mat_qkv',
  'attn.proj',
  'cross_attn.mat_q',
  'cross_attn.mat_kv',
  'cross_attn.proj',
  'ffn.fc1',
  'ffn.fc2',
] as const;

/** Low-rank adapters of a transformer. */
export interface AdaptersConfig {
  /** Rank of what is added to a weight. */
  readonly rank: number;
  /** What is added is multiplied by alpha / rank. */
  readonly alpha: number;
  /** The layers of every block that have one. */
  readonly targets: readonly (typeof adapterTargets)[number][];
}

/** Low-rank adapters on the layers of a transformer's blocks: all that learns in a finetuning with them. */
export class StarAdapters extends Module {
  readonly config: AdaptersConfig;
  private readonly layers: readonly Linear[];

  /** Puts adapters on the layers; they change nothing until they learn. The transformer's own weights learn no more. */
  constructor(star: Star, config: AdaptersConfig, { seed = 0 }: { readonly seed?: number } = {}) {
    super();
    this.config = config;
    star.freeze();
    const random = hostRandom(seed, 3);
    const adapted = [...star.namedModules()].filter(
      ([path, module]) =>
        module instanceof Linear &&
        path.startsWith('blocks.') &&
        config.targets.some((target) => path.endsWith(`.${target}`)),
    ) as [string, Linear][];
    for (const [path, layer] of adapted) {
      const [out, inner] = layer.weight.shape as [number, number];
      const { rank, alpha } = config;
      const options = { in: inner, out, rank, scale: alpha / rank, init: initFanIn(random, inner) };
      layer.adapter = this.child(path, new LowRank(options));
    }
    this.layers = adapted.map(([, layer]) => layer);
  }

  /** Adds the adapters to the weights for good, in place. */
  merge(): void {
    for (const layer of this.layers) layer.merge();
  }

  /** Runs something with the adapters added to the weights; both are apart again behind it, bit for bit. */
  async merged<T>(run: () => Promise<T>): Promise<T> {
    const apart = this.layers.map((layer) => ({ layer, weight: clone(layer.weight).keep(), adapter: layer.adapter }));
    try {
      this.merge();
      return await run();
    } finally {
      for (const { layer, weight, adapter } of apart) {
        writeSlice(layer.weight, weight, { axis: 0, start: 0 });
        layer.adapter = adapter;
        weight.dispose();
      }
    }
  }
}

/** Before the name of every tensor in the files of the peft library. */
const peftPrefix = 'base_model.model.';

/** The files of a folder of adapters, by name: those that the peft library writes. */
export async function saveAdapters(adapters: StarAdapters): Promise<Map<string, Uint8Array>> {
  const { rank, alpha, targets } = adapters.config;
  const named = [...(await adapters.hostWeights())].map(([name, value]): [string, HostTensor] => [
    `${peftPrefix}${name}`,
    value,
  ]);
  return new Map([
    [
      'adapter_config.json',
      jsonFile({ peft_type: 'LORA', r: rank, lora_alpha: alpha, target_modules: targets, bias: 'none' }),
    ],
    ['adapter_model.safetensors', writeSafetensors(new Map(named))],
  ]);
}

/** What of `adapter_config.json` is read. */
interface PeftConfig {
  readonly peft_type?: string;
  readonly r: number;
  readonly lora_alpha: number;
  readonly target_modules: AdaptersConfig['targets'];
}

/**
 * Puts the adapters of a folder on a transformer.
 * @throws Error if they are of another kind, WeightsError listing every tensor that does not fit.
 */
export async function loadAdapters(star: Star, readFile: ReadFile): Promise<StarAdapters> {
  const config = JSON.parse(await readText(await readFile('adapter_config.json'))) as PeftConfig;
  const { peft_type: kind, r: rank, lora_alpha: alpha, target_modules: targets } = config;
  const unknown = Array.isArray(targets) ? targets.filter((target) => !adapterTargets.includes(target)) : ['none'];
  if (kind !== 'LORA' || unknown.length)
    throw new Error(
      `loadAdapters: adapter_config.json must be of kind LORA with target_modules out of ${adapterTargets.join(', ')}, got ${kind} with ${unknown.join(', ') || 'these'}. Use adapters of this transformer.`,
    );
  const adapters = new StarAdapters(star, { rank, alpha, targets });
  const stored = readSafetensors(await readBytes(await readFile('adapter_model.safetensors')));
  const named = [...stored].map(([name, value]): [string, HostTensor] => [name.replace(peftPrefix, ''), value]);
  return adapters.load(new Map(named));
}
