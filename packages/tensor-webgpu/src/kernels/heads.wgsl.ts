import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters, laneMemory, laneParameters, type RowLanes, sumLanes } from './snippets.ts';
import { elementType, type FloatStorage, storedVector, vectorOf } from './storage.ts';

/** Parts of a packed projection, in their order. */
export type HeadPart = 'query' | 'key' | 'value';

export interface HeadsSpec extends RowLanes, Readonly<Record<string, number | string | boolean>> {
  readonly type: FloatStorage;
  /** Parts of the projection, joined by commas. */
  readonly whole: string;
  /** Those of them that the kernel works on: all, or one where a device grants few buffers. */
  readonly parts: string;
  /** Head width in vectors. */
  readonly vectors: number;
  /** Queries and keys are rotated by a table. */
  readonly rope: boolean;
  /** Queries and values have a bias. */
  readonly bias: boolean;
  /** What the backward needs is written too. Without it all three parts bind 8 buffers, as many as WebGPU grants everywhere. */
  readonly keep: boolean;
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const lines = (all: readonly string[], separator = '\n    '): string => all.join(separator);

const partsOf = ({ parts }: Pick<HeadsSpec, 'parts'>): HeadPart[] => parts.split(',') as HeadPart[];

/** WGSL: a part's place among those of the projection, and their number. */
function placeOf({ whole }: HeadsSpec, part: HeadPart): { readonly index: number; readonly count: number } {
  const all = partsOf({ parts: whole });
  return { index: all.indexOf(part), count: all.length };
}
const isUnit = (part: HeadPart): boolean => part !== 'value';
const hasBias = ({ bias }: HeadsSpec, part: HeadPart): boolean => bias && part !== 'key';

/** Vectors that a lane owns of each head's row. */
const piecesOf = ({ vectors, lanes }: HeadsSpec): number[] => range(vectors / lanes);

const uniforms = { rows: 'u32', positions: 'u32', heads: 'u32', strips: 'u32', strip: 'u32' } as const;

/** What queries are multiplied by: exp(min(scale, ln 100)). */
const largest = Math.log(100);

/** Runs the body at each row of a strip for one head: `own` is the lane's first vector of the head, `row` is live or the last one again. */
const alongStrip = (spec: HeadsSpec, { before, body, after = '' }: Record<string, string>): string => `
${laneMemory(spec)}
@compute @workgroup_size(${spec.group})
fn main(${laneParameters(spec)}) {
  let worker = (${flatGroup}) * ${spec.group / spec.lanes}u + local / ${spec.lanes}u;
  let own = local % ${spec.lanes}u;
  let head = worker % u.heads;
  let strip = worker / u.heads;
  let width = u.heads * ${spec.vectors}u;
  let column = head * ${spec.vectors}u + own;
  ${before}
  for (var r = 0u; r < u.strip; r++) {
    let live = strip * u.strip + r < u.rows;
    let row = min(strip * u.strip + r, u.rows - 1u);
    ${body}
  }
  ${after}
}`;

/** WGSL: the rotation of piece j by its position, or back where `direction` is -1. */
const turned = (spec: HeadsSpec, name: string, direction: 1 | -1): string =>
  spec.rope
    ? lines(
        piecesOf(spec).map((j) => {
          const [minus, plus] = direction === 1 ? ['-', ''] : ['', '-'];
          return `${name}${j} = ${name}${j} * turn${j}.xxzz + ${name}${j}.yxwz * vec4<f32>(${minus}turn${j}.y, ${plus}turn${j}.y, ${minus}turn${j}.w, ${plus}turn${j}.w);`;
        }),
      )
    : '';

const turns = (spec: HeadsSpec): string =>
  spec.rope
    ? lines(
        piecesOf(spec).map(
          (j) => `let turn${j} = table[(row % u.positions) * ${spec.vectors}u + own + ${j * spec.lanes}u];`,
        ),
      )
    : '';

/** WGSL: reads a row's part, normalises and turns it, and writes the head. */
function forwardPart(spec: HeadsSpec, part: HeadPart): string {
  const pieces = piecesOf(spec);
  const { index, count } = placeOf(spec, part);
  const at = (j: number): string => `${j * spec.lanes}u`;
  const loads = pieces.map(
    (j) =>
      `var v${j} = ${vectorOf(spec.type, `x[(row * ${count}u + ${index}u) * width + column + ${at(j)}]`)}${hasBias(spec, part) ? ` + ${part}_bias${j}` : ''};`,
  );
  const unit = `var total = ${lines(
    pieces.map((j) => `dot(v${j}, v${j})`),
    ' + ',
  )}; ${sumLanes(spec, 'total')}
    let factor = 1.0 / max(sqrt(total), 1e-12);
    ${spec.keep ? `if (live && own == 0u) { factors[(${index}u * u.rows + row) * u.heads + head] = factor; }` : ''}
    ${turned(spec, 'v', 1)}
    ${lines(pieces.map((j) => `v${j} *= factor${part === 'query' ? ' * scaling' : ''};`))}`;
  const stores = pieces.map((j) => `${part}[row * width + column + ${at(j)}] = ${storedVector(spec.type, `v${j}`)};`);
  return `{ ${lines(loads)}
    ${isUnit(part) ? unit : ''}
    if (live) { ${lines(stores)} } }`;
}

const biasLoads = (spec: HeadsSpec): string =>
  lines(
    partsOf(spec)
      .filter((part) => hasBias(spec, part))
      .flatMap((part) =>
        piecesOf(spec).map((j) => `let ${part}_bias${j} = bias_${part}[column + ${j * spec.lanes}u];`),
      ),
  );

const hasQuery = (spec: HeadsSpec): boolean => partsOf(spec).includes('query');
const scaling = (spec: HeadsSpec): string =>
  hasQuery(spec) ? `let exponent = scale[head]; let scaling = exp(min(exponent, ${largest}));` : '';

const examples: HeadsSpec[] = [
  {
    type: 'f32',
    whole: 'query,key,value',
    parts: 'query,key,value',
    vectors: 16,
    group: 8,
    lanes: 8,
    shuffles: true,
    rope: true,
    bias: true,
    keep: false,
  },
  {
    type: 'f16',
    whole: 'query',
    parts: 'query',
    vectors: 3,
    group: 63,
    lanes: 3,
    shuffles: false,
    rope: false,
    bias: true,
    keep: true,
  },
  {
    type: 'packed',
    whole: 'key,value',
    parts: 'key,value',
    vectors: 16,
    group: 32,
    lanes: 16,
    shuffles: true,
    rope: false,
    bias: true,
    keep: true,
  },
  {
    type: 'f32',
    whole: 'query,key,value',
    parts: 'query,key,value',
    vectors: 2,
    group: 4,
    lanes: 2,
    shuffles: true,
    rope: true,
    bias: false,
    keep: true,
  },
  {
    type: 'f32',
    whole: 'query,key,value',
    parts: 'key',
    vectors: 16,
    group: 8,
    lanes: 8,
    shuffles: true,
    rope: true,
    bias: true,
    keep: true,
  },
];
const enables = ({ shuffles }: HeadsSpec): string[] => (shuffles ? ['subgroups'] : []);
const vector = (access: 'read' | 'write', type: FloatStorage): Binding => `${access} ${elementType(type, 4)}`;
const named = (parts: readonly HeadPart[], prefix: string, binding: Binding): Record<string, Binding> =>
  Object.fromEntries(parts.map((part) => [`${prefix}${part}`, binding]));

/**
 * query = s unit(turn(x_q + bias_q)), key = unit(turn(x_k)), value = x_v + bias_v per head, with unit(v) = v / max(|v|, 1e-12) and s = exp(min(scale, ln 100)).
 * x: [R, parts, heads, d], table: [L, d/2, 2] of (cos, sin), scale: [heads] -> each part [R, heads, d]; factors: [parts, R, heads] keeps 1/|v|.
 * A few lanes share a head's row and walk a strip of rows. Turning keeps the length, so one read of x serves all.
 */
export const headsKernel: Kernel<HeadsSpec> = defineKernel<HeadsSpec>({
  name: 'heads',
  bindings: (spec) => ({
    x: vector('read', spec.type),
    ...(spec.rope && { table: 'read vec4<f32>' as Binding }),
    ...(hasQuery(spec) && { scale: 'read f32' as Binding }),
    ...named(
      partsOf(spec).filter((part) => hasBias(spec, part)),
      'bias_',
      'read vec4<f32>',
    ),
    ...named(partsOf(spec), '', vector('write', spec.type)),
    ...(spec.keep && { factors: 'write f32' as Binding }),
  }),
  uniforms,
  enables,
  code: (spec) =>
    alongStrip(spec, {
      before: `${scaling(spec)}\n  ${biasLoads(spec)}`,
      body: `${turns(spec)}\n    ${lines(partsOf(spec).map((part) => forwardPart(spec, part)))}`,
    }),
  examples,
});

/** WGSL: reads a row's upstream gradient of a part, and writes that of x. */
function backwardPart(spec: HeadsSpec, part: HeadPart): string {
  const pieces = piecesOf(spec);
  const { index, count } = placeOf(spec, part);
  const at = (j: number): string => `${j * spec.lanes}u`;
  const place = (j: number): string => `row * width + column + ${at(j)}`;
  const loads = pieces.map((j) => `var g${j} = ${vectorOf(spec.type, `d_${part}[${place(j)}]`)};`);
  const values = pieces.map((j) => `let y${j} = ${vectorOf(spec.type, `${part}[${place(j)}]`)};`);
  const isQuery = part === 'query';
  const unit = `${lines(values)}
    var along = ${lines(
      pieces.map((j) => `dot(g${j}, y${j})`),
      ' + ',
    )}; ${sumLanes(spec, 'along')}
    let factor = factors[(${index}u * u.rows + row) * u.heads + head];
    let clamped = factor >= 1e12;
    ${isQuery ? 'slope += select(0.0, along, live); let straight = factor * scaling; let back = select(factor * along / scaling, 0.0, clamped);' : 'let straight = factor; let back = select(factor * along, 0.0, clamped);'}
    ${lines(pieces.map((j) => `g${j} = g${j} * straight - y${j} * back;`))}
    ${turned(spec, 'g', -1)}`;
  const sums = pieces.map((j) => `${part}_sum${j} += select(vec4<f32>(0.0), g${j}, live);`);
  const stores = pieces.map(
    (j) => `dx[(row * ${count}u + ${index}u) * width + column + ${at(j)}] = ${storedVector(spec.type, `g${j}`)};`,
  );
  return `{ ${lines(loads)}
    ${isUnit(part) ? unit : ''}
    ${hasBias(spec, part) ? lines(sums) : ''}
    if (live) { ${lines(stores)} } }`;
}

const biased = (spec: HeadsSpec): HeadPart[] => partsOf(spec).filter((part) => hasBias(spec, part));

/** WGSL: what a strip adds to the gradients of biases and scale. */
const stripSums = (spec: HeadsSpec): { before: string; after: string } => ({
  before: lines([
    ...biased(spec).flatMap((part) => piecesOf(spec).map((j) => `var ${part}_sum${j} = vec4<f32>(0.0);`)),
    ...(hasQuery(spec) ? ['var slope = 0.0;'] : []),
  ]),
  after: `if (strip < u.strips) {
    ${lines([
      ...biased(spec).flatMap((part) =>
        piecesOf(spec).map((j) => `sums_${part}[strip * width + column + ${j * spec.lanes}u] = ${part}_sum${j};`),
      ),
      ...(hasQuery(spec)
        ? [`if (own == 0u) { slopes[strip * u.heads + head] = select(0.0, slope, exponent <= ${largest}); }`]
        : []),
    ])}
  }`,
});

/**
 * For y = s unit(turn(v)): dv = turn back of (s dy - y (y . dy) / s) / |v|, dscale = sum of y . dy where scale is below its limit; dbias = sum of dv.
 * Sums are those of a strip of rows: [strips, heads, d] and [strips, heads].  Shapes as in the forward kernel.  A few lanes walk a strip of one head.
 */
export const headsGradientKernel: Kernel<HeadsSpec> = defineKernel<HeadsSpec>({
  name: 'heads-gradient',
  bindings: (spec) => ({
    ...named(partsOf(spec).filter(isUnit), '', vector('read', spec.type)),
    ...named(partsOf(spec), 'd_', vector('read', spec.type)),
    factors: 'read f32',
    ...(spec.rope && { table: 'read vec4<f32>' as Binding }),
    ...(hasQuery(spec) && { scale: 'read f32' as Binding, slopes: 'write f32' as Binding }),
    ...named(biased(spec), 'sums_', 'write vec4<f32>'),
    dx: vector('write', spec.type),
  }),
  uniforms,
  enables,
  code: (spec) => {
    const { before, after } = stripSums(spec);
    return alongStrip(spec, {
      before: `${scaling(spec)}\n  ${before}`,
      body: `${turns(spec)}\n    ${lines(partsOf(spec).map((part) => backwardPart(spec, part)))}`,
      after,
    });
  },
  examples,
});

interface StripSumsSpec extends Readonly<Record<string, number | string | boolean>> {
  /** Names of what is summed, joined by commas. */
  readonly names: string;
}

/** y_i[c] = sum over strips s of x_i[s, c], for several tensors in one go.  x_i: [strips, width_i].  One invocation a column. */
export const stripSumsKernel: Kernel<StripSumsSpec> = defineKernel<StripSumsSpec>({
  name: 'strip-sums',
  bindings: ({ names }) => ({
    ...Object.fromEntries(names.split(',').map((name) => [`x_${name}`, 'read f32' as Binding])),
    ...Object.fromEntries(names.split(',').map((name) => [`y_${name}`, 'write f32' as Binding])),
  }),
  uniforms: { strips: 'u32', width0: 'u32', width1: 'u32', width2: 'u32' },
  code: ({ names }) => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  var column = (${flatGroup}) * 64u + local;
  ${names
    .split(',')
    .map(
      (name, i) => `if (column < u.width${i}) {
    var total = 0.0;
    for (var strip = 0u; strip < u.strips; strip++) { total += x_${name}[strip * u.width${i} + column]; }
    y_${name}[column] = total;
    return;
  }
  column -= u.width${i};`,
    )
    .join('\n  ')}
}`,
  examples: [{ names: 'query,value,scale' }, { names: 'value' }],
});
