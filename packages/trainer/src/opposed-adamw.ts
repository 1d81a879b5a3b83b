import { div, type LossScale, mul, noGrad, type StoredTensor, type Tensor } from '@star-webgpu/tensor-webgpu';
import { AdamW, type AdamWStep } from './optimizer.ts';
import type { Opponent } from './stage.ts';

/** What trains the parameters of a stage: one network, or two against each other. */
export type Optimizer = Pick<AdamW, keyof AdamW>;

/**
 * AdamW over a stage's own parameters, and another with its own moments and clipping over those of its opponent. Gradients of both come from one
 * backward pass, first the stage's. Averages are kept of the stage's alone, weights of the opponent never decay.
 */
export class OpposedAdamW implements Optimizer {
  private readonly own: AdamW;
  private readonly theirs: AdamW;
  private readonly opponent: Opponent;

  /** @param own the optimiser of the stage's own parameters, which is owned from now on. */
  constructor(own: AdamW, opponent: Opponent) {
    this.own = own;
    this.theirs = new AdamW(opponent.parameters(), { betas: opponent.betas });
    this.opponent = opponent;
  }

  get steps(): number {
    return this.own.steps;
  }

  get parameters(): Tensor[] {
    return [...this.own.parameters, ...this.theirs.parameters];
  }

  get lossScale(): LossScale | undefined {
    return this.own.lossScale;
  }

  step(gradients: readonly Tensor[], step: AdamWStep): Tensor {
    this.prepare(step);
    return this.update(gradients);
  }

  prepare(step: AdamWStep): void {
    this.own.prepare(step);
    this.theirs.prepare({ ...step, learningRate: step.learningRate * this.opponent.rate, weightDecay: 0 });
  }

  /** Both count as one: their gradients come from one pass. */
  uncount(): void {
    for (const optimizer of [this.own, this.theirs]) optimizer.uncount();
  }

  /** The norm is that of the stage's own gradients. */
  update(gradients: readonly Tensor[]): Tensor {
    const count = this.own.parameters.length;
    // Before the scale that they have is changed.
    this.theirs.update(this.unscaled(gradients.slice(count)));
    return this.own.update(gradients.slice(0, count));
  }

  private unscaled(gradients: readonly Tensor[]): readonly Tensor[] {
    const scale = this.lossScale?.factor();
    if (!scale) return gradients;
    return noGrad(() => {
      const factor = div(1, scale);
      return gradients.map((gradient) => mul(gradient, factor));
    });
  }

  averaged<T>(run: () => Promise<T>): Promise<T> {
    return this.own.averaged(run);
  }

  finish(): void {
    this.own.finish();
  }

  moments(): Map<string, Tensor> {
    return new Map([...this.own.moments(), ...this.theirs.moments()]);
  }

  async load(stored: ReadonlyMap<string, StoredTensor>, steps: number): Promise<void> {
    const theirs = this.theirs.moments();
    const part = (isTheirs: boolean): ReadonlyMap<string, StoredTensor> =>
      new Map([...stored].filter(([name]) => theirs.has(name) === isTheirs));
    await this.own.load(part(false), steps);
    await this.theirs.load(part(true), steps);
  }

  dispose(): void {
    for (const optimizer of [this.own, this.theirs]) optimizer.dispose();
  }
}
