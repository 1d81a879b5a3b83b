import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';
import { computedType, elementAt, elementType, type Storage, storedVector, vectorOf } from './storage.ts';

/** How an operand's elements line up with the output's flat index. */
export type OperandMode =
  /** same shape */
  | 'full'
  /** repeats every `period` elements: broadcast over leading axes */
  | 'period'
  /** each element serves `period` neighbours: broadcast over trailing axes */
  | 'repeat'
  /** period or repeat where the period is a multiple of 4: one load a vector */
  | 'period4'
  | 'repeat4'
  /** any strides, up to rank 6 */
  | 'strided'
  /** the same where the output's last side is a multiple of 4: one place is worked out for a vector, not four */
  | 'strided4';

export interface ElementwiseSpec extends Readonly<Record<string, number | string | boolean>> {
  /** WGSL expression over vec4 operands a, b, c, d and scalars u.s0, u.s1. */
  readonly expression: string;
  /** Comma-separated `mode:storage` of each operand. */
  readonly operands: string;
  readonly result: Storage;
  /** The expression is added to what y holds. */
  readonly accumulate: boolean;
  /** Axes that strided operands are indexed by, once neighbours that lie alike are joined: each costs a division. */
  readonly rank: number;
}

const names = ['a', 'b', 'c', 'd'] as const;
/** Most axes of a strided operand. */
export const maxRank = 6;
const workgroup = 64;

/** Vectors that one invocation computes: loads of strided operands are long code, which is not repeated. */
const perThread = ({ operands }: Pick<ElementwiseSpec, 'operands'>): number => (operands.includes('strided') ? 1 : 4);

/** Elements that one workgroup handles. */
export const elementsPerGroup = (spec: Pick<ElementwiseSpec, 'operands'>): number => workgroup * perThread(spec) * 4;

interface ParsedOperand {
  readonly name: string;
  readonly mode: OperandMode;
  readonly storage: Storage;
}

const parse = (spec: ElementwiseSpec): ParsedOperand[] =>
  spec.operands === ''
    ? []
    : spec.operands.split(',').map((operand, i) => {
        const [mode, storage] = operand.split(':') as [OperandMode, Storage];
        return { name: names[i]!, mode, storage };
      });

/** Arithmetic runs in f32 for floats, and in the stored type for integers. */
function load({ name, mode, storage }: ParsedOperand): string {
  const buffer = `${name}_data`;
  const vector = `vec4<${computedType(storage)}>`;
  const scalars = (index: (j: number) => string): string =>
    `${vector}(${[0, 1, 2, 3].map((j) => elementAt(storage, buffer, index(j))).join(', ')})`;
  if (mode === 'full') return vectorOf(storage, `${buffer}[i]`);
  if (mode === 'period4') return vectorOf(storage, `${buffer}[i % (u.${name}_period / 4u)]`);
  if (mode === 'repeat4')
    return `${vector}(${elementAt(storage, buffer, `min(i / (u.${name}_period / 4u), u.${name}_last)`)})`;
  if (mode === 'period') return scalars((j) => `(i * 4u + ${j}u) % u.${name}_period`);
  if (mode === 'repeat') return scalars((j) => `min((i * 4u + ${j}u) / u.${name}_period, u.${name}_last)`);
  if (mode === 'strided4') return scalars((j) => `${name}_place + ${j}u * u.${name}_stride${maxRank - 1}`);
  return scalars((j) => `${name}_index(min(i * 4u + ${j}u, u.count - 1u))`);
}

/** Statements ahead of an operand's load. */
const place = ({ name, mode }: ParsedOperand): string =>
  mode === 'strided4' ? `let ${name}_place = ${name}_index(i * 4u); ` : '';

function indexFunction(name: string, rank: number): string {
  const axes = Array.from({ length: rank }, (_, k) => maxRank - 1 - k);
  const steps = axes.map((k, i) =>
    i === rank - 1
      ? `  at += rest * u.${name}_stride${k};`
      : `  at += (rest % u.side${k}) * u.${name}_stride${k}; rest = rest / u.side${k};`,
  );
  return [
    `fn ${name}_index(flat: u32) -> u32 {`,
    `  var rest = flat; var at = u.${name}_offset;`,
    ...steps,
    '  return at;',
    '}',
  ].join('\n');
}

function bindings(spec: ElementwiseSpec): Record<string, Binding> {
  const inputs = parse(spec).map(({ name, mode, storage }): [string, Binding] => [
    `${name}_data`,
    `read ${elementType(storage, mode === 'full' || mode === 'period4' ? 4 : 1)}`,
  ]);
  return Object.fromEntries([...inputs, ['y_data', `write ${elementType(spec.result, 4)}` as Binding]]);
}

const perOperand = (name: string): [string, 'u32'][] => [
  [`${name}_period`, 'u32'],
  [`${name}_last`, 'u32'],
  [`${name}_offset`, 'u32'],
  ...Array.from({ length: maxRank }, (_, k): [string, 'u32'] => [`${name}_stride${k}`, 'u32']),
];

/** y[i] = expression(a[i], b[i], ...), with broadcasting.  One invocation computes 4 vectors of 4 elements, or one where operands are strided. */
export const elementwiseKernel: Kernel<ElementwiseSpec> = defineKernel<ElementwiseSpec>({
  name: 'elementwise',
  bindings,
  uniforms: {
    count: 'u32',
    s0: 'f32',
    s1: 'f32',
    ...Object.fromEntries(Array.from({ length: maxRank }, (_, k) => [`side${k}`, 'u32' as const])),
    ...Object.fromEntries(names.flatMap(perOperand)),
  },
  code: (spec) => {
    const operands = parse(spec);
    return `
${operands
  .filter(({ mode }) => mode.startsWith('strided'))
  .map(({ name }) => indexFunction(name, spec.rank))
  .join('\n')}
@compute @workgroup_size(${workgroup})
fn main(${flatParameters}) {
  let first = (${flatGroup}) * ${workgroup * perThread(spec)}u + local;
  let vectors = (u.count + 3u) / 4u;
  for (var j = 0u; j < ${perThread(spec)}u; j++) {
    let i = first + j * ${workgroup}u;
    if (i < vectors) {
      ${operands.map((operand) => `${place(operand)}let ${operand.name} = ${load(operand)};`).join('\n      ')}
      y_data[i] = ${storedVector(spec.result, spec.accumulate ? `${vectorOf(spec.result, 'y_data[i]')} + ${spec.expression}` : spec.expression)};
    }
  }
}`;
  },
  examples: [
    { expression: 'a', operands: 'strided4:f32', result: 'f32', accumulate: false, rank: 3 },
    { expression: 'a + b', operands: 'full:f32,period:f32', result: 'f32', accumulate: false, rank: 6 },
    {
      expression: 'select(vec4<u32>(0u), vec4<u32>(1u), a < b)',
      operands: 'strided:f32,repeat:f32',
      result: 'u32',
      accumulate: false,
      rank: 3,
    },
    { expression: 'a * b', operands: 'period4:f16,repeat4:f32', result: 'f32', accumulate: false, rank: 6 },
    { expression: 'a * u.s0', operands: 'full:f16', result: 'f16', accumulate: false, rank: 6 },
    { expression: 'a * b', operands: 'full:packed,period:packed', result: 'packed', accumulate: false, rank: 6 },
    {
      expression: 'a + b + c',
      operands: 'strided:packed,repeat4:packed,period4:packed',
      result: 'packed',
      accumulate: false,
      rank: 3,
    },
    { expression: 'a', operands: 'full:packed', result: 'packed', accumulate: true, rank: 6 },
    { expression: 'vec4<f32>(u.s0)', operands: '', result: 'f32', accumulate: false, rank: 6 },
  ],
});
