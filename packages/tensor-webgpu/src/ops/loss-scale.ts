import { type Tensor, tensor } from '../tensor.ts';
import { reshape, slice } from './view.ts';

/** A loss scale as it is saved with a run. */
export interface LossScaleState {
  readonly scale: number;
  /** Steps in a row whose gradients were finite, since the scale last changed. */
  readonly finiteSteps: number;
}

/** How a loss scale begins and grows: at 2^11, doubled after 1000 finite steps, 2^15 at most, by default. */
export interface LossScaleOptions {
  /** First scale; 2048 if not given. */
  readonly start?: number;
  /** Finite steps in a row after which the scale doubles. */
  readonly growth?: number;
  /** The scale never grows beyond it. */
  readonly most?: number;
}

/**
 * The factor that keeps f16 gradients from vanishing (Micikevicius et al., 2018), on the device: optimiser steps read and update it there,
 * so that nothing is read back. It doubles after `growth` finite steps in a row and halves at each one that is not.
 */
export class LossScale {
  readonly growth: number;
  readonly most: number;
  /** (scale, finite steps in a row): f32 [2]. */
  readonly state: Tensor;

  constructor({ start = 2 ** 11, growth = 1000, most = 2 ** 15 }: LossScaleOptions = {}) {
    this.growth = growth;
    this.most = most;
    this.state = tensor([start, 0], [2]).keep();
  }

  /** The scale itself, as the factor of all gradients that `backward` takes. f32 []. */
  factor(): Tensor {
    return reshape(slice(this.state, 0, 0, 1), []);
  }

  /** Copies the state to the host. */
  async read(): Promise<LossScaleState> {
    const [scale, finiteSteps] = await this.state.data();
    return { scale: scale!, finiteSteps: finiteSteps! };
  }

  /** Sets the state to one that `read` gave. */
  load({ scale, finiteSteps }: LossScaleState): void {
    this.state.storage.device.write(this.state.buffer, Float32Array.of(scale, finiteSteps));
  }

  /** Frees the state. */
  dispose(): void {
    this.state.dispose();
  }
}
