import { wordFunctionsFor } from './storage.ts';

/** Compile-time numbers and names of a kernel: they key its pipeline. */
export type Spec = Readonly<Record<string, number | string | boolean>>;

/** `access element-type`, for example `read vec4<f32>`; `write` is bound read-write, as WGSL has no write-only buffers. */
export type Binding = `${'read' | 'write' | 'read_write'} ${string}`;

type UniformType = 'u32' | 'i32' | 'f32';

/** A compute kernel: WGSL made from typed compile-time values, with its buffers and run-time numbers by name. */
export interface Kernel<S extends Spec = Spec> {
  readonly name: string;
  readonly bindings: (spec: S) => Readonly<Record<string, Binding>>;
  readonly uniforms: Readonly<Record<string, UniformType>>;
  readonly enables: (spec: S) => readonly string[];
  readonly code: (spec: S) => string;
  /** Floating-point operations of a run, where a rate is worth knowing. */
  readonly flops: ((run: KernelWork<S>) => number) | undefined;
  /** Specs that the null-backend test compiles, so that no variant ships unchecked. */
  readonly examples: readonly S[];
}

/** What a run of a kernel was given. */
export interface KernelWork<S extends Spec> {
  readonly spec: S;
  readonly uniforms: Readonly<Record<string, number>>;
  readonly grid: readonly [number, number, number];
}

export interface KernelDefinition<S extends Spec> {
  readonly name: string;
  readonly bindings: Readonly<Record<string, Binding>> | ((spec: S) => Readonly<Record<string, Binding>>);
  readonly uniforms?: Readonly<Record<string, UniformType>>;
  readonly enables?: (spec: S) => readonly string[];
  readonly code: (spec: S) => string;
  readonly flops?: (run: KernelWork<S>) => number;
  readonly examples: readonly S[];
}

const registry = new Map<string, Kernel>();

/** Registers a kernel under its name; names are unique in a program. */
export function defineKernel<S extends Spec>(definition: KernelDefinition<S>): Kernel<S> {
  const { bindings } = definition;
  const kernel: Kernel<S> = {
    name: definition.name,
    bindings: typeof bindings === 'function' ? bindings : () => bindings,
    uniforms: definition.uniforms ?? {},
    enables: definition.enables ?? (() => []),
    code: definition.code,
    flops: definition.flops,
    examples: definition.examples,
  };
  registry.set(definition.name, kernel as unknown as Kernel);
  return kernel;
}

/** Every kernel defined so far, for tests that compile them all. */
export const allKernels = (): readonly Kernel[] => [...registry.values()];

/** The complete shader of a kernel for one spec: enables, uniforms, bindings, body. Uniforms are read as `u.name`. */
export function shaderSource<S extends Spec>(kernel: Kernel<S>, spec: S): string {
  const bindings = Object.entries(kernel.bindings(spec));
  const enables = new Set(kernel.enables(spec));
  if (bindings.some(([, binding]) => /\bf16\b/.test(binding))) enables.add('f16');
  const fields = Object.entries(kernel.uniforms).map(([name, type]) => `  ${name}: ${type},`);
  const uniformBlock = fields.length
    ? [`struct Uniforms {`, ...fields, `}`, `@group(0) @binding(0) var<uniform> u: Uniforms;`]
    : [];
  const buffers = bindings.map(([name, binding], index) => {
    const space = binding.indexOf(' ');
    const access = binding.slice(0, space) === 'read' ? 'read' : 'read_write';
    return `@group(0) @binding(${index + 1}) var<storage, ${access}> ${name}: array<${binding.slice(space + 1)}>;`;
  });
  const code = kernel.code(spec);
  const head = [...[...enables].map((name) => `enable ${name};`), ...uniformBlock, ...buffers];
  return [...head, wordFunctionsFor(code), code].join('\n');
}
