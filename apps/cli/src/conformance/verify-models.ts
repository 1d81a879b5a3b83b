import type { PromptModels } from '@star-webgpu/sampler';
import {
  cast,
  hostFloats,
  type HostTensor,
  type Module,
  noGrad,
  permute,
  readStored,
  sameShape,
  scope,
  square,
  type StoredTensor,
  sub,
  sum,
  type Tensor,
  tensor,
} from '@star-webgpu/tensor-webgpu';
import { watching } from './watch.ts';

/** How far one module's output is from the stored one. */
export interface Deviation {
  /** Model and path, such as `star/blocks.3`. */
  readonly name: string;
  /** ||got - want|| / ||want||; for tokens the share that differs. */
  readonly error: number;
}

export interface Verification {
  /** In the order in which the modules run. */
  readonly deviations: readonly Deviation[];
  /** Stored outputs that no module of ours has, or whose shapes are others, with the reason. */
  readonly unmatched: readonly string[];
}

type Stored = ReadonlyMap<string, StoredTensor>;
type Part = 'star' | 'vqvae' | 'text';

/**
 * Modules that end where PyTorch's module of the same path ends. Branches inside a block do not: here they are added to the stream as
 * they are computed.
 */
const comparable: Readonly<Record<Part, RegExp>> = {
  star: /^(word_embed|encoder_proj|blocks\.\d+|head_logits)$/,
  vqvae: /^(encoder|decoder)(\.conv_in|\.mid\.\w+|\.(down|up)\.\d+\.(block|attn)\.\d+)?$|^(post_)?quant_conv$/,
  text: /^text_model\.(encoder\.layers\.\d+|final_layer_norm)$|^encoder\.(block\.\d+|final_layer_norm)$/,
};

/**
 * Runs each model on stored inputs and compares what its modules give with stored outputs. Names of inputs: `input/star.teacher`
 * [B, L-1, Z], `input/star.states` [B, T, D], `input/star.mask` [B, T], `input/star.pooled` [B, D], `input/vqvae.picture` [B, 3, H, W],
 * `input/vqvae.sum` [B, Z, h, w], `input/text.ids` and `input/text.mask` [B, T]; of outputs: `star/`, `vqvae/` or `text/` and the module's path.
 */
export async function verifyModels({ star, vqvae, text }: PromptModels, stored: Stored): Promise<Verification> {
  const comparison = new Comparison(stored);
  const input = (name: string): Promise<HostTensor> => readStored(stored.get(`input/${name}`)!);
  const has = (...names: string[]): boolean => names.every((name) => stored.has(`input/${name}`));
  if (has('text.ids', 'text.mask')) {
    const [ids, mask] = [upload(await input('text.ids'), 'u32'), upload(await input('text.mask'), 'u32')];
    await comparison.run('text', text.model, () => text.model.forward(ids, mask));
  }
  if (has('vqvae.picture')) {
    const picture = upload(await input('vqvae.picture'));
    await comparison.run('vqvae', vqvae, () => comparison.tokens(vqvae.imageToTokens(picture)));
  }
  if (has('vqvae.sum')) {
    const latent = upload(await input('vqvae.sum'));
    await comparison.run('vqvae', vqvae, () => vqvae.decode(permute(latent, [0, 2, 3, 1])));
  }
  if (has('star.teacher', 'star.states', 'star.mask', 'star.pooled')) {
    const [teacher, states, pooled] = [
      upload(await input('star.teacher')),
      upload(await input('star.states')),
      upload(await input('star.pooled')),
    ];
    const mask = upload(await input('star.mask'), 'u32');
    await comparison.run('star', star, () => star.forward({ input_BlZ: teacher, text: { states, mask, pooled } }));
  }
  return comparison.result();
}

const upload = (host: HostTensor, dtype: 'f32' | 'u32' = 'f32'): Tensor =>
  tensor(hostFloats(host), host.shape, { dtype });

/** Collects deviations; sums are taken on the device, so that outputs need not be kept. */
class Comparison {
  private readonly stored: Stored;
  private readonly wanted = new Map<string, HostTensor>();
  private readonly sums = new Map<string, readonly [difference: Tensor, size: Tensor]>();
  private readonly misshapen: string[] = [];

  constructor(stored: Stored) {
    this.stored = stored;
  }

  /** Runs a part of a model once, and compares what is stored of it. */
  async run(part: Part, model: Module, run: () => unknown): Promise<void> {
    for (const [name, tensor] of this.stored)
      if (name.startsWith(`${part}/`) && !this.sums.has(name)) this.wanted.set(name, await readStored(tensor));
    const onOutput = (path: string, output: Tensor): void => this.compare(`${part}/${path}`, output);
    scope(() => noGrad(() => void watching(model, { paths: comparable[part], onOutput }, run)));
    this.wanted.clear();
  }

  /** Compares tokens of all scales. u32 [B, L]. */
  tokens(indices_BL: Tensor): void {
    this.compare('vqvae/tokens', indices_BL);
  }

  async result(): Promise<Verification> {
    const deviations: Deviation[] = [];
    for (const [name, [difference, size]] of this.sums) {
      deviations.push({ name, error: Math.sqrt((await difference.item()) / (await size.item())) });
      for (const one of [difference, size]) one.dispose();
    }
    const missing = [...this.stored.keys()].filter((name) => !name.startsWith('input/') && !this.sums.has(name));
    const unmatched = missing.map((name) => this.misshapen.find((fault) => fault.startsWith(`${name}:`)) ?? name);
    return { deviations, unmatched };
  }

  private compare(name: string, output: Tensor): void {
    const wanted = this.wanted.get(name);
    if (!wanted || this.sums.has(name)) return;
    const got = placed(cast(output, 'f32'), wanted.shape);
    if (!got) return void this.misshapen.push(`${name}: [${wanted.shape}] instead of [${output.shape}]`);
    const want = upload(wanted);
    this.sums.set(name, [sum(square(sub(got, want))).keep(), sum(square(want)).keep()]);
  }
}

/** An output in the stored order of axes: feature maps are [B, h, w, C] here and [B, C, h, w] in PyTorch. */
function placed(output: Tensor, wanted: readonly number[]): Tensor | undefined {
  if (output.rank === 4) {
    const channelsFirst = permute(output, [0, 3, 1, 2]);
    if (sameShape(channelsFirst.shape, wanted)) return channelsFirst;
  }
  return sameShape(output.shape, wanted) ? output : undefined;
}
