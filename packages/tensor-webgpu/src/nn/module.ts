import { loadTensors } from '../io/device-tensors.ts';
import { type HostTensor, hostValues } from '../io/host-tensor.ts';
import type { StoredTensor } from '../io/stored-tensor.ts';
import { sameShape, type Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import type { Init } from './init.ts';
import { hostTensors } from './model-folder.ts';
import { makeParameter } from './parameters.ts';

/** Weights that do not fit a model; lists every fault at once. */
export class WeightsError extends Error {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly misshapen: readonly string[];
  constructor(
    model: string,
    faults: { missing: readonly string[]; unexpected: readonly string[]; misshapen: readonly string[] },
  ) {
    const lines = Object.entries(faults).flatMap(([kind, names]) =>
      names.length ? [`${kind}: ${names.join(', ')}`] : [],
    );
    super(
      `${model}: weights must match the model. ${lines.join('; ')}. Check that config and weights belong together.`,
    );
    this.name = 'WeightsError';
    this.missing = faults.missing;
    this.unexpected = faults.unexpected;
    this.misshapen = faults.misshapen;
  }
}

/** Tensors by name, of which the shapes are known. */
type Shaped = ReadonlyMap<string, { readonly shape: Shape }>;

/** What `checkWeights` compares. */
export interface WeightsCheck extends LoadOptions {
  /** Shapes that a model needs. */
  readonly needed: ReadonlyMap<string, Shape>;
  readonly given: Shaped;
}

/** Checks that weights have the names and shapes that a model needs, beside names that it may pass over. @throws WeightsError listing every fault */
export function checkWeights(model: string, { needed, given, ignore }: WeightsCheck): void {
  const missing = [...needed.keys()].filter((name) => !given.has(name));
  const unexpected = [...given.keys()].filter((name) => !needed.has(name) && !ignore?.test(name));
  const misshapen = [...needed].flatMap(([name, shape]) => {
    const found = given.get(name);
    return found && !sameShape(found.shape, shape) ? [`${name} ([${found.shape}] instead of [${shape}])`] : [];
  });
  if (missing.length || unexpected.length || misshapen.length)
    throw new WeightsError(model, { missing, unexpected, misshapen });
}

/** What may differ between a model and the weights that it loads. */
export interface LoadOptions {
  /** Names that may be present without being used. */
  readonly ignore?: RegExp;
}

/** What owns parameters: a tree of named tensors that live until dispose. */
export abstract class Module {
  private readonly own = new Map<string, Tensor>();
  private readonly children = new Map<string, Module>();

  /** Makes a parameter with initial values; its name is the one in weight files. */
  protected parameter(name: string, shape: Shape, init: Init): Tensor {
    const value = makeParameter(name, shape, init).keep();
    value.requiresGrad = true;
    this.own.set(name, value);
    return value;
  }

  /** Makes a tensor that is stored with the weights but takes no gradient. */
  protected state(name: string, shape: Shape, init: Init): Tensor {
    const value = makeParameter(name, shape, init).keep();
    this.own.set(name, value);
    return value;
  }

  /** Puts another module under a name; dots nest. Under an empty name its tensors stand beside this module's own. */
  protected child<T extends Module>(name: string, module: T): T {
    this.children.set(name, module);
    return module;
  }

  /** Every stored tensor by its full name, in the order of construction: parameters and states. */
  namedTensors(prefix = ''): Map<string, Tensor> {
    const all = new Map<string, Tensor>();
    for (const [name, value] of this.own) all.set(prefix + name, value);
    for (const [name, module] of this.children)
      for (const [inner, value] of module.namedTensors(name ? `${prefix}${name}.` : prefix)) all.set(inner, value);
    return all;
  }

  /** Every module inside by its path, outer ones first; this one has none. */
  namedModules(prefix = ''): Map<string, Module> {
    const all = new Map<string, Module>();
    for (const [name, module] of this.children) {
      const path = prefix + name;
      if (name) all.set(path, module);
      for (const [inner, one] of module.namedModules(name ? `${path}.` : prefix)) all.set(inner, one);
    }
    return all;
  }

  /** Every trainable tensor by its full name. */
  namedParameters(prefix = ''): Map<string, Tensor> {
    return new Map([...this.namedTensors(prefix)].filter(([, value]) => value.requiresGrad));
  }

  /** Number of trainable elements. */
  get parameterCount(): number {
    return [...this.namedParameters().values()].reduce((sum, value) => sum + value.size, 0);
  }

  /** Takes gradients from every parameter, for models that only serve. */
  freeze(): this {
    for (const value of this.namedTensors().values()) value.requiresGrad = false;
    return this;
  }

  /** Copies weights in by name. @throws WeightsError listing every missing, unexpected and misshapen tensor; nothing is changed then. */
  load(weights: ReadonlyMap<string, HostTensor>, options: LoadOptions = {}): this {
    for (const [name, value] of this.matched(weights, options))
      value.storage.device.write(value.buffer, hostValues(weights.get(name)!, value.dtype));
    return this;
  }

  /**
   * As load, with one tensor after the other in memory, so that files of any size do. Frees the model where that fails.
   * @throws WeightsError as load does, or what reading throws
   */
  async loadStored(weights: ReadonlyMap<string, StoredTensor>, options: LoadOptions = {}): Promise<this> {
    try {
      await loadTensors(this.matched(weights, options), weights);
      return this;
    } catch (fault) {
      this.dispose();
      throw fault;
    }
  }

  /** The model's tensors, once weights fit them. */
  private matched(given: Shaped, options: LoadOptions): ReadonlyMap<string, Tensor> {
    const named = this.namedTensors();
    const needed = new Map([...named].map(([name, { shape }]) => [name, shape]));
    checkWeights(this.constructor.name, { ...options, needed, given });
    return named;
  }

  /** Copies of all weights on the host, by name. */
  hostWeights(dtype: 'F32' | 'F16' = 'F32'): Promise<Map<string, HostTensor>> {
    return hostTensors(this.namedTensors(), dtype);
  }

  /** Frees every parameter. */
  dispose(): void {
    for (const value of this.namedTensors().values()) value.dispose();
  }
}
