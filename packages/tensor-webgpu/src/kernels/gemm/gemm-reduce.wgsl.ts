import { type Binding, defineKernel, type Kernel } from '../define-kernel.ts';
import { flatGroup, flatParameters } from '../snippets.ts';
import { elementType, valuesOf } from '../storage.ts';
import { biasOf, finishFunction, storeFunction } from './epilogue.ts';
import { baseSpec, epilogueBindings, type GemmSpec, range } from './spec.ts';

const workgroup = 64;

/** Elements of C that one invocation finishes: two where halves are packed and rows may start in the middle of a word. */
const perInvocation = ({ storageC, widthC }: GemmSpec): number => (storageC === 'packed' && widthC === 1 ? 2 : widthC);

/** Elements of C that one workgroup finishes. */
export const reducedPerGroup = (spec: GemmSpec): number => workgroup * perInvocation(spec);

/** The sum over parts of the values at a flat index of C, in the order of the parts. */
const sumFunction = (width: number): string => `fn sum_parts(index: u32) -> ${valuesOf(width)} {
  let matrix = u.M * u.N; let batch = index / matrix; let inner = index % matrix;
  var total = ${valuesOf(width)}(0.0);
  for (var part = 0u; part < u.parts; part++) { total += parts_data[((batch * u.parts + part) * matrix + inner) / ${width}u]; }
  return total;
}`;

const wholeBody = (width: number, doubled: boolean): string => `let index = flat * ${width}u;
  if (index >= u.count) { return; }
  let inner = index % (u.M * u.N);
  store(inner / u.N, inner % u.N, ${doubled ? 'index / (u.M * u.N)' : 'index - inner'}, sum_parts(index));`;

/** Two neighbours of the flat C that share a word, each with a row and column of its own. */
function pairBody(spec: GemmSpec): string {
  const one = (j: number): string => `let i${j} = min(flat * 2u + ${j}u, u.count - 1u);
  let z${j} = biased(i${j} % u.N, sum_parts(i${j})); let y${j} = finish((i${j} % (u.M * u.N)) / u.N, i${j} % u.N, i${j}, z${j});`;
  return `if (flat * 2u >= u.count) { return; }
  ${range(2).map(one).join('\n  ')}
  ${spec.keep ? 'kept_data[flat] = pack2(vec2<f32>(z0, z1));' : ''}
  c_data[flat] = pack2(vec2<f32>(y0, y1));`;
}

const biasedFunction = (spec: GemmSpec): string =>
  `fn biased(column: u32, sum: f32) -> f32 { return sum${spec.bias ? ` + ${biasOf(spec, 1)}` : ''}; }`;

/**
 * C = finish(sum over parts of P[part] + bias), parts in order.  P: f32 [batch, parts, M, N], C: [batch, M, N].
 * One invocation finishes `widthC` neighbours, or the two halves of a word; those of a doubled picture are never in the middle of one.
 */
export const gemmReduceKernel: Kernel<GemmSpec> = defineKernel<GemmSpec>({
  name: 'gemm-reduce',
  bindings: (spec) => {
    const extra = `read ${elementType(spec.storageExtra, spec.widthC)}` as Binding;
    const result = `write ${elementType(spec.storageC, spec.widthC)}` as Binding;
    return {
      parts_data: `read ${valuesOf(spec.widthC)}`,
      ...epilogueBindings(spec, extra, result),
      c_data: result,
    };
  },
  uniforms: { count: 'u32', M: 'u32', N: 'u32', parts: 'u32', gateRows: 'u32', outWidth: 'u32' },
  code: (spec) => {
    const pairs = perInvocation(spec) !== spec.widthC;
    return `${sumFunction(spec.widthC)}
${pairs ? `${finishFunction(spec, 1)}\n${biasedFunction(spec)}` : storeFunction(spec, spec.widthC, true)}
@compute @workgroup_size(${workgroup})
fn main(${flatParameters}) {
  let flat = (${flatGroup}) * ${workgroup}u + local;
  ${pairs ? pairBody(spec) : wholeBody(spec.widthC, spec.doubled)}
}`;
  },
  examples: [
    baseSpec,
    { ...baseSpec, widthC: 1, bias: true, activation: 'gelu', residual: true },
    { ...baseSpec, widthC: 2, storageC: 'packed', storageExtra: 'packed', gate: true, keep: true, accumulate: true },
    {
      ...baseSpec,
      widthC: 1,
      storageC: 'packed',
      storageExtra: 'packed',
      bias: true,
      gate: true,
      keep: true,
      residual: true,
      accumulate: true,
    },
    { ...baseSpec, storageC: 'packed', bias: true, doubled: true },
    { ...baseSpec, widthC: 1, storageC: 'f16', storageExtra: 'f16', bias: true, accumulate: true },
  ],
});
