import {
  add,
  backward,
  cast,
  clamp,
  detach,
  div,
  globalNorm,
  mean,
  type Module,
  mul,
  neg,
  noGrad,
  relu,
  sub,
  type Tensor,
  withGradients,
  withPrecision,
} from '@star-webgpu/tensor-webgpu';
import type { Discriminator, Vqvae } from '@star-webgpu/vqvae';
import type { Opponent } from '../stage.ts';
import type { MeasuredLoss } from './picture-loss.ts';

export interface AdversaryOptions {
  readonly discriminator: Discriminator;
  /** Weight of its loss, on top of the adaptive one. */
  readonly weight: number;
  /** Batches of the run before it takes part. */
  readonly from: number;
  /** Its learning rate as a multiple of the stage's; 1 if not given. */
  readonly rate?: number;
}

/** What a batch is judged by. */
interface Judged {
  /** What the decoder's last layer reads. [B, H, W, C] */
  readonly features_BHWC: Tensor;
  readonly lastLayer: Vqvae['lastLayer'];
  /** [B, H, W, 3] */
  readonly images_BHW3: Tensor;
  /** The other losses of the decoder's pictures. [B, H, W, 3] */
  readonly lossOf: (got_BHW3: Tensor) => MeasuredLoss;
}

/** A discriminator that learns to tell decoded pictures from real ones, for the decoder to deceive (VQGAN, section 3.1). */
export class Adversary implements Opponent {
  /** VQGAN's. */
  readonly betas = [0.5, 0.9] as const;
  readonly rate: number;
  private readonly options: AdversaryOptions;

  constructor(options: AdversaryOptions) {
    this.options = options;
    this.rate = options.rate ?? 1;
  }

  get discriminator(): Discriminator {
    return this.options.discriminator;
  }

  parameters(): Map<string, Tensor> {
    return this.discriminator.namedParameters('discriminator.');
  }

  /** True from the batch on with which it takes part, counted from 0. */
  takesPart(draw: number): boolean {
    return draw >= this.options.from;
  }

  /** The decoder's losses with its part in them; the loss has the discriminator's gradients too, which its value does not show. */
  loss(judged: Judged): MeasuredLoss {
    // Gradients of single pixels are too small for halves.
    return withPrecision('f32', () => this.lossExactly(judged));
  }

  private lossExactly({ features_BHWC, lastLayer, images_BHW3, lossOf }: Judged): MeasuredLoss {
    const { discriminator, weight } = this.options;
    const features = cast(features_BHWC, 'f32');
    const seen = leafOf(features);
    const wanted = [seen, lastLayer.weight, lastLayer.bias];
    const got_BHW3 = lastLayer.forward(seen);
    const { loss: picture, metrics } = lossOf(got_BHW3);
    const fooled = frozen(discriminator, () => {
      const loss = neg(mean(discriminator.forward(got_BHW3)));
      return { loss, gradients: backward(loss, wanted) };
    });
    const gradients = backward(picture, wanted);
    const adaptiveWeight = noGrad(() => weightOf(gradients[1]!, fooled.gradients[1]!));
    const weighed = noGrad(() => {
      const share = mul(adaptiveWeight, weight);
      return {
        value: add(picture, mul(fooled.loss, share)),
        gradients: gradients.map((gradient, i) => add(gradient, mul(fooled.gradients[i]!, share))),
      };
    });
    const ours = withGradients(weighed.value, [features, lastLayer.weight, lastLayer.bias], weighed.gradients);
    const theirs = hingeLoss(discriminator.forward(images_BHW3), discriminator.forward(detach(got_BHW3)));
    return {
      loss: add(ours, unseen(theirs)),
      metrics: { ...metrics, adversarial: fooled.loss, adaptiveWeight, discriminator: theirs },
    };
  }
}

/** The same values as the start of a graph of its own. */
const leafOf = (x: Tensor): Tensor => Object.assign(detach(x), { requiresGrad: true });

/** Runs something that gives no gradients to a network's parameters. */
function frozen<T>(network: Module, run: () => T): T {
  const learning = [...network.namedParameters().values()];
  for (const parameter of learning) parameter.requiresGrad = false;
  try {
    return run();
  } finally {
    for (const parameter of learning) parameter.requiresGrad = true;
  }
}

/** |d picture / dW| / (|d adversarial / dW| + 1e-4), at most 1e4, W being the decoder's last filter (VQGAN, equation 7). f32 [] */
const weightOf = (dPicture: Tensor, dAdversarial: Tensor): Tensor =>
  clamp(div(globalNorm([dPicture]), add(globalNorm([dAdversarial]), 1e-4)), 0, 1e4);

/** (mean max(0, 1 - real) + mean max(0, 1 + fake)) / 2. */
const hingeLoss = (real: Tensor, fake: Tensor): Tensor =>
  mul(add(mean(relu(sub(1, real))), mean(relu(add(fake, 1)))), 0.5);

/** A loss that has its gradients and is zero. */
const unseen = (loss: Tensor): Tensor => sub(loss, detach(loss));
