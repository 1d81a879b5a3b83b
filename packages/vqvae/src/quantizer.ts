import {
  add,
  concat,
  detach,
  Embedding,
  embedding,
  type HostRandom,
  initUniform,
  Module,
  mean,
  mul,
  nearestRow,
  noGrad,
  reshape,
  resizeArea,
  resizeBicubic,
  slice,
  square,
  sub,
  type Conv2d,
  type Tensor,
  withPrecision,
} from '@star-webgpu/tensor-webgpu';
import { convolution } from './blocks.ts';
import type { VqvaeConfig } from './config.ts';
import { latentSize, type MapSize, phiCount, phiIndex, tokenMaps, tokenOffsets } from './scales.ts';

/** phi(x) = (1 - share) x + share conv(x), one convolution for several scales. */
class Phis extends Module {
  private readonly convolutions: readonly Conv2d[];
  private readonly share: number;
  private readonly ofScale: readonly number[];

  constructor({ patchNumbers, phis, phiShare, codeWidth }: VqvaeConfig, random: HostRandom) {
    super();
    const scales = patchNumbers.length;
    const nameOf = (k: number): string => (phis === 1 ? 'qresi' : phis === 0 ? `${k}` : `qresi_ls.${k}`);
    this.convolutions = Array.from({ length: phiCount(phis, scales) }, (_, k) =>
      this.child(nameOf(k), convolution(random, { in: codeWidth, out: codeWidth })),
    );
    this.share = phiShare;
    this.ofScale = patchNumbers.map((_, scale) => phiIndex(scale, scales, phis));
  }

  forward(h_BhwZ: Tensor, scale: number): Tensor {
    const turned = this.convolutions[this.ofScale[scale]!]!.forward(h_BhwZ);
    return add(mul(h_BhwZ, 1 - this.share), mul(turned, this.share));
  }
}

/** What quantising a latent map gives, scale by scale. */
export interface Quantized {
  /** u32 [B, l] of each scale. */
  readonly indices: readonly Tensor[];
  /** The sum of scales up to each one. [B, h, w, Z]. */
  readonly sums: readonly Tensor[];
  /** The vectors that were looked up at each scale. [B l, Z]. */
  readonly lookups: readonly Tensor[];
}

/** Of a latent map [B, h, w, Z]. */
const sizeOf = ({ shape }: Tensor): MapSize => ({ height: shape[1]!, width: shape[2]! });

/**
 * The multi-scale residual quantiser: a latent map as S token maps, coarse to fine, all from one codebook (VAR, algorithm 1 and 2).
 * Latent maps need not be square: `tokenMaps` says what the scales of one are.
 */
export class Quantizer extends Module {
  private readonly config: VqvaeConfig;
  private readonly codes: Embedding;
  private readonly phis: Phis;

  constructor(config: VqvaeConfig, random: HostRandom) {
    super();
    this.config = config;
    const { codebookSize, codeWidth } = config;
    this.phis = this.child('quant_resi', new Phis(config, random));
    this.codes = this.child(
      'embedding',
      new Embedding({ count: codebookSize, width: codeWidth, init: initUniform(random, 1 / codebookSize) }),
    );
  }

  /** The codebook. [V, Z]. */
  get codebook(): Tensor {
    return this.codes.weight;
  }

  /** Tokens of a latent map: each scale codes what the coarser ones left over. f: [B, h, w, Z]. */
  quantize(f_BhwZ: Tensor): Quantized {
    return withPrecision('f32', () => this.quantizeExactly(f_BhwZ));
  }

  /** Residuals of residuals: halves would change which code is nearest. */
  private quantizeExactly(f_BhwZ: Tensor): Quantized {
    const latent = sizeOf(f_BhwZ);
    const [indices, sums, lookups]: [Tensor[], Tensor[], Tensor[]] = [[], [], []];
    let rest_BhwZ = detach(f_BhwZ);
    for (const [scale, size] of tokenMaps(this.config.patchNumbers, latent).entries()) {
      const { rows, indices_Bl } = this.lookUp(rest_BhwZ, size);
      const h_BhwZ = this.contribution(embedding(this.codebook, indices_Bl), scale, latent);
      const before = sums.at(-1);
      sums.push(before ? add(before, h_BhwZ) : h_BhwZ);
      rest_BhwZ = noGrad(() => sub(rest_BhwZ, h_BhwZ));
      indices.push(indices_Bl);
      lookups.push(rows);
    }
    return { indices, sums, lookups };
  }

  /**
   * The straight-through map for training, and the sum over scales of beta mse(sg(sum), f) + mse(sum, sg(f)).
   * The gradient of the map goes to f unchanged.
   */
  trainForward(f_BhwZ: Tensor): Quantized & { readonly sum_BhwZ: Tensor; readonly loss: Tensor } {
    const quantized = this.quantize(f_BhwZ);
    const frozen = detach(f_BhwZ);
    const losses = quantized.sums.map((sum) =>
      add(mul(mean(square(sub(detach(sum), f_BhwZ))), this.config.beta), mean(square(sub(sum, frozen)))),
    );
    const last = detach(quantized.sums.at(-1)!);
    return {
      ...quantized,
      sum_BhwZ: add(
        noGrad(() => sub(last, frozen)),
        f_BhwZ,
      ),
      loss: losses.reduce((a, b) => add(a, b)),
    };
  }

  /**
   * The transformer's input in training: after each scale but the last, the sum so far at the size of the next.
   * indices: u32 [B, L], of latent maps of the given size, else of square ones -> [B, L-1, Z].
   */
  teacherInput(indices_BL: Tensor, latent?: MapSize): Tensor {
    const offsets = tokenOffsets(this.config.patchNumbers, latent);
    const inputs: Tensor[] = [];
    let sum: Tensor | undefined;
    for (let scale = 0; scale < this.config.patchNumbers.length - 1; scale++) {
      const codes_BlZ = embedding(this.codebook, slice(indices_BL, 1, offsets[scale]!, offsets[scale + 1]!));
      const { sum_BhwZ, next_BlZ } = this.nextInput(scale, codes_BlZ, sum, { latent });
      sum = sum_BhwZ;
      inputs.push(next_BlZ!);
    }
    return concat(inputs, 1);
  }

  /**
   * Adds a drawn scale to the sum, which is empty at the first: the latent map then has the given size, or is square.
   * codes: [B, l, Z] -> the new sum [B, h, w, Z], and the input of the next scale [B, l', Z] unless this was the last.
   */
  nextInput(
    scale: number,
    codes_BlZ: Tensor,
    sum_BhwZ?: Tensor,
    { latent }: { readonly latent?: MapSize | undefined } = {},
  ): { sum_BhwZ: Tensor; next_BlZ?: Tensor } {
    return withPrecision('f32', () => {
      const size = sum_BhwZ ? sizeOf(sum_BhwZ) : (latent ?? latentSize(this.config.patchNumbers));
      const h_BhwZ = this.contribution(codes_BlZ, scale, size);
      return this.withNext(scale, sum_BhwZ ? add(sum_BhwZ, h_BhwZ) : h_BhwZ);
    });
  }

  /** A sum, and what the scale behind it begins with: the sum at that scale's size. */
  private withNext(scale: number, sum_BhwZ: Tensor): { sum_BhwZ: Tensor; next_BlZ?: Tensor } {
    const next = tokenMaps(this.config.patchNumbers, sizeOf(sum_BhwZ))[scale + 1];
    return next ? { sum_BhwZ, next_BlZ: tokensOf(sum_BhwZ, next) } : { sum_BhwZ };
  }

  /** Nearest codes of the rest, averaged to the scale's size. */
  private lookUp(rest_BhwZ: Tensor, size: MapSize): { rows: Tensor; indices_Bl: Tensor } {
    return noGrad(() => {
      const tokens_BlZ = tokensOf(rest_BhwZ, size);
      const [B, l, Z] = tokens_BlZ.shape as [number, number, number];
      const rows = reshape(tokens_BlZ, [B * l, Z]);
      const nearest = nearestRow(rows, this.codebook, { metric: this.config.cosineLookup ? 'cosine' : 'l2' });
      return { rows, indices_Bl: reshape(nearest, [B, l]) };
    });
  }

  /** What one scale's codes add to the map: phi of their bicubic enlargement. codes: [B, l, Z] -> [B, h, w, Z]. */
  private contribution(codes_BlZ: Tensor, scale: number, latent: MapSize): Tensor {
    const { patchNumbers, codeWidth } = this.config;
    const { height, width } = tokenMaps(patchNumbers, latent)[scale]!;
    const map = reshape(codes_BlZ, [codes_BlZ.shape[0]!, height, width, codeWidth]);
    return this.phis.forward(resizeBicubic(map, [latent.height, latent.width]), scale);
  }
}

/** The average of a map over each token of a smaller one. [B, h, w, Z] -> [B, l, Z]. */
function tokensOf(map_BhwZ: Tensor, { height, width }: MapSize): Tensor {
  const [B, , , Z] = map_BhwZ.shape as [number, number, number, number];
  return reshape(resizeArea(map_BhwZ, [height, width]), [B, height * width, Z]);
}
