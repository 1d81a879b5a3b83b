import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, laneParameters, type RowLanes, sumLanes } from './snippets.ts';
import { elementType, type FloatStorage, storedVector, vectorOf } from './storage.ts';

/** Row-wise normalisations: what is subtracted and divided by. */
export type RowNorm = 'layer' | 'rms' | 'l2';

/** How rows are shared out, and what lanes keep of them. */
export interface RowPieces extends RowLanes {
  /** Vectors of a row that each lane keeps in registers; 0 where rows are long or ragged, and are read again. */
  readonly pieces: number;
}

interface RowNormSpec extends RowPieces, Readonly<Record<string, number | string | boolean>> {
  readonly norm: RowNorm;
  readonly type: FloatStorage;
}

const uniforms = { rows: 'u32', vectors: 'u32', strip: 'u32', eps: 'f32' } as const;

/** Runs the body at each row of a strip: `first` is the row's first vector, `own` the lane's place in it. Rows beyond the last are the last one again. */
const alongStrip = (spec: RowNormSpec, body: string): string => `
@compute @workgroup_size(${spec.group})
fn main(${laneParameters(spec)}) {
  let own = local % ${spec.lanes}u;
  let strip = (${flatGroup}) * ${spec.group / spec.lanes}u + local / ${spec.lanes}u;
  let C = f32(u.vectors * 4u);
  for (var r = 0u; r < u.strip; r++) {
    let live = strip * u.strip + r < u.rows;
    let row = min(strip * u.strip + r, u.rows - 1u);
    let first = row * u.vectors;
    ${body}
  }
}`;

/** WGSL: a statement for each vector of the row that the lane owns; `k` is its place, `value(name)` the vector there. */
function each(
  { pieces, lanes, type }: RowNormSpec,
  statement: (value: (name: string) => string, k: string) => string,
): string {
  if (!pieces)
    return `for (var k = own; k < u.vectors; k += ${lanes}u) { ${statement((name) => vectorOf(type, `${name}[first + k]`), 'k')} }`;
  return Array.from({ length: pieces }, (_, j) => statement((name) => `${name}_${j}`, `own + ${j * lanes}u`)).join(
    '\n    ',
  );
}

/** WGSL: reads the lane's vectors of some bindings into registers, where they stay there. */
const loads = ({ pieces, lanes, type }: RowNormSpec, names: readonly string[]): string =>
  names
    .flatMap((name) =>
      Array.from(
        { length: pieces },
        (_, j) => `let ${name}_${j} = ${vectorOf(type, `${name}[first + own + ${j * lanes}u]`)};`,
      ),
    )
    .join(' ');

const examples: RowNormSpec[] = [
  { norm: 'layer', type: 'f32', group: 8, lanes: 8, shuffles: true, pieces: 8 },
  { norm: 'layer', type: 'f16', group: 32, lanes: 32, shuffles: true, pieces: 0 },
  { norm: 'layer', type: 'packed', group: 4, lanes: 4, shuffles: true, pieces: 2 },
  { norm: 'l2', type: 'f16', group: 32, lanes: 1, shuffles: false, pieces: 0 },
  { norm: 'rms', type: 'f32', group: 8, lanes: 8, shuffles: true, pieces: 2 },
];
const enables = ({ shuffles }: RowNormSpec): string[] => (shuffles ? ['subgroups'] : []);
const total = (name: string): string => `${name}.x + ${name}.y + ${name}.z + ${name}.w`;

/**
 * layer: y = (x - mean) / sqrt(var + eps);  rms: y = x / sqrt(mean(x^2) + eps);  l2: y = x / max(|x|, eps).
 * x, y: [R, C], C a multiple of 4; factor: [R] is the divisor's inverse.
 * Lanes of a subgroup share a row and walk a strip of rows.
 */
export const rowNormKernel: Kernel<RowNormSpec> = defineKernel<RowNormSpec>({
  name: 'row-norm',
  bindings: ({ type }) => ({
    x: `read ${elementType(type, 4)}` as Binding,
    y: `write ${elementType(type, 4)}` as Binding,
    factor: 'write f32',
  }),
  uniforms,
  enables,
  code: (spec) => {
    const isLayer = spec.norm === 'layer';
    const mean = `var s = vec4<f32>(0.0); ${each(spec, (value) => `s += ${value('x')};`)}
    var mean = ${total('s')}; ${sumLanes(spec, 'mean')} mean /= C;`;
    return alongStrip(
      spec,
      `${loads(spec, ['x'])}
    ${isLayer ? mean : 'let mean = 0.0;'}
    var q = vec4<f32>(0.0);
    ${each(spec, (value) => `{ let v = ${value('x')} - mean; q += v * v; }`)}
    var squares = ${total('q')}; ${sumLanes(spec, 'squares')}
    let f = ${spec.norm === 'l2' ? '1.0 / max(sqrt(squares), u.eps)' : 'inverseSqrt(squares / C + u.eps)'};
    if (live) {
      ${each(spec, (value, k) => `y[first + ${k}] = ${storedVector(spec.type, `(${value('x')} - mean) * f`)};`)}
      if (own == 0u) { factor[row] = f; }
    }`,
    );
  },
  examples,
});

/**
 * dx = f (dy - y mean(dy y) - mean(dy)) for layer, f (dy - y mean(dy y)) for rms, f (dy - y sum(dy y)) for l2 (f dy where the divisor was eps).
 * y, dy, dx: [R, C].  Lanes of a subgroup share a row.
 */
export const rowNormInputKernel: Kernel<RowNormSpec> = defineKernel<RowNormSpec>({
  name: 'row-norm-input',
  bindings: ({ type }) => ({
    y: `read ${elementType(type, 4)}` as Binding,
    dy: `read ${elementType(type, 4)}` as Binding,
    factor: 'read f32',
    dx: `write ${elementType(type, 4)}` as Binding,
  }),
  uniforms,
  enables,
  code: (spec) => {
    const isLayer = spec.norm === 'layer';
    return alongStrip(
      spec,
      `${loads(spec, ['y', 'dy'])}
    var s = vec4<f32>(0.0);
    var q = vec4<f32>(0.0);
    ${each(spec, (value) => `{ let d = ${value('dy')}; s += d; q += d * ${value('y')}; }`)}
    var along = ${total('q')}; ${sumLanes(spec, 'along')}
    let f = factor[row];
    ${spec.norm === 'l2' ? 'along = select(along, 0.0, f * u.eps >= 1.0);' : 'along /= C;'}
    ${isLayer ? `var mean = ${total('s')}; ${sumLanes(spec, 'mean')} mean /= C;` : 'let mean = 0.0;'}
    if (live) {
      ${each(spec, (value, k) => `dx[first + ${k}] = ${storedVector(spec.type, `f * (${value('dy')} - mean - ${value('y')} * along)`)};`)}
    }`,
    );
  },
  examples,
});
