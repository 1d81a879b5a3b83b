import {
  add,
  concat,
  conv2d,
  expand,
  initZeros,
  Linear,
  Module,
  reshape,
  slice,
  type Tensor,
} from '@star-webgpu/tensor-webgpu';
import { ClipLayer, LayerNorm } from '@star-webgpu/text-encoder';
import type { ClipConfig, ClipVisionConfig } from './config.ts';

/** Class token, patches and their places. images: [B, H, W, 3] -> [B, 1 + patches, D]. */
class Patches extends Module {
  private readonly start: Tensor;
  private readonly weight: Tensor;
  private readonly places: Tensor;
  private readonly patch: number;

  constructor({ side, patch, width }: ClipVisionConfig) {
    super();
    this.patch = patch;
    this.start = this.parameter('class_embedding', [width], initZeros);
    this.weight = this.parameter('patch_embedding.weight', [width, 3, patch, patch], initZeros);
    this.places = this.parameter('position_embedding.weight', [(side / patch) ** 2 + 1, width], initZeros);
  }

  forward(images_BHW3: Tensor): Tensor {
    const B = images_BHW3.shape[0]!;
    const D = this.start.size;
    const x_BhwD = conv2d(images_BHW3, this.weight, { stride: this.patch });
    const start_B1D = expand(reshape(this.start, [1, 1, D]), [B, 1, D]);
    return add(concat([start_B1D, reshape(x_BhwD, [B, -1, D])], 1), this.places);
  }
}

/** CLIP's image tower (Radford et al., 2021) and both projections, with Hugging Face's parameter names. */
export class ClipVision extends Module {
  readonly config: ClipVisionConfig;
  /** Width of the common space. */
  readonly projection: number;
  private readonly patches: Patches;
  private readonly before: LayerNorm;
  private readonly layers: readonly ClipLayer[];
  private readonly after: LayerNorm;
  private readonly projectImage: Linear;
  private readonly projectText: Linear;

  constructor({ vision, text, projection }: ClipConfig) {
    super();
    const { width, normEpsilon: eps } = vision;
    this.config = vision;
    this.projection = projection;
    this.patches = this.child('vision_model.embeddings', new Patches(vision));
    // The published name is misspelt.
    this.before = this.child('vision_model.pre_layrnorm', new LayerNorm({ width, eps }));
    this.layers = Array.from({ length: vision.layers }, (_, i) =>
      this.child(`vision_model.encoder.layers.${i}`, new ClipLayer(vision)),
    );
    this.after = this.child('vision_model.post_layernorm', new LayerNorm({ width, eps }));
    const project = (from: number): Linear => new Linear({ in: from, out: projection, init: initZeros, bias: false });
    this.projectImage = this.child('visual_projection', project(width));
    this.projectText = this.child('text_projection', project(text.width));
  }

  /** Pictures in the common space. images: [B, H, W, 3], normalised -> [B, projection]. */
  forward(images_BHW3: Tensor): Tensor {
    const x_BTD = this.before.forward(this.patches.forward(images_BHW3));
    const [B, , D] = x_BTD.shape as [number, number, number];
    const last_BTD = this.layers.reduce((x, layer) => layer.forward(x, {}), x_BTD);
    const start_BD = reshape(slice(last_BTD, 1, 0, 1), [B, D]);
    return this.projectImage.forward(this.after.forward(start_BD));
  }

  /** Prompts in the common space. pooled: [B, text width] -> [B, projection]. */
  textFeatures(pooled_BD: Tensor): Tensor {
    return this.projectText.forward(pooled_BD);
  }
}
