import { noGrad } from '../autograd/record.ts';
import { cast } from '../ops/cast.ts';
import { add } from '../ops/elementwise.ts';
import { linear, type LinearFinish } from '../ops/linear.ts';
import { writeSlice } from '../ops/view.ts';
import { scope } from '../scope.ts';
import type { Tensor } from '../tensor.ts';
import { type Init, initZeros } from './init.ts';
import type { LowRank } from './low-rank.ts';
import { Module } from './module.ts';

/** y = x W^T + b. x: [..., in] -> [..., out]. Parameters `weight` [out, in] and `bias` [out]. */
export class Linear extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
  /** Adds to the layer's result; it is stored and trained apart from the layer. */
  adapter: LowRank | undefined;

  constructor(options: { in: number; out: number; init: Init; bias?: boolean; biasInit?: Init }) {
    super();
    this.weight = this.parameter('weight', [options.out, options.in], options.init);
    this.bias =
      options.bias === false ? undefined : this.parameter('bias', [options.out], options.biasInit ?? initZeros);
  }

  /** x: [..., in] -> [..., out], finished in the same pass where asked. */
  forward(x: Tensor, finish: LinearFinish = {}): Tensor {
    const { weight, bias, adapter } = this;
    return adapter ? adapter.forward(x, { weight, bias, finish }) : linear(x, weight, bias, finish);
  }

  /** Adds the adapter to the weight, in place, and goes on without it. */
  merge(): void {
    const { weight, adapter } = this;
    if (!adapter) return;
    scope(() =>
      noGrad(() => {
        const merged = cast(add(cast(weight, 'f32'), adapter.delta()), weight.dtype);
        writeSlice(weight, merged, { axis: 0, start: 0 });
      }),
    );
    this.adapter = undefined;
  }
}

/** Every trainable tensor of a module and of the adapters of its layers. */
export const trainableTensors = (module: Module): Tensor[] => [
  ...module.namedParameters().values(),
  ...[module, ...module.namedModules().values()].flatMap((inner) =>
    inner instanceof Linear && inner.adapter ? [...inner.adapter.namedParameters().values()] : [],
  ),
];
