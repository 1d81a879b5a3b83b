import { defineKernel, type Kernel } from './define-kernel.ts';

/** What a tile does to the product before it is stored. */
export type Activation = 'none' | 'relu' | 'gelu' | 'silu';

export interface GemmSpec extends Readonly<Record<string, number | string | boolean>> {
  /** Lanes of the subgroup that shares a tile; 0 for the plain kernel, which shares nothing. */
  readonly lanes: number;
  /** Rows of a tile: a multiple of the lanes. */
  readonly rows: number;
  /** Columns that a lane owns, 1 to 4: fewer where the product is narrow, so that no lane works for nothing. The plain kernel owns 4. */
  readonly columns: number;
  /** A is stored [K, M]. */
  readonly transposeA: boolean;
  /** B is stored [N, K]. */
  readonly transposeB: boolean;
  /** Innermost sides are multiples of 4 (of `columns` for B [K, N] and C), so loads and stores are whole vectors. */
  readonly vectorA: boolean;
  readonly vectorB: boolean;
  readonly vectorC: boolean;
  readonly type: 'f32' | 'f16';
  readonly bias: boolean;
  readonly activation: Activation;
  /** A is read through a convolution's window: 'none', or forward / input-gradient / weight-gradient addressing. */
  readonly window: 'none' | 'forward' | 'input' | 'weight';
}

/** Numbers of a convolution's window, as run-time values; zero elsewhere. */
export const windowUniforms = {
  inHeight: 'u32',
  inWidth: 'u32',
  channels: 'u32',
  outHeight: 'u32',
  outWidth: 'u32',
  kernelHeight: 'u32',
  kernelWidth: 'u32',
  stride: 'u32',
  padTop: 'u32',
  padLeft: 'u32',
  /** Lines of output pixels that one part of a weight gradient sums over. */
  partLines: 'u32',
} as const;

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const parts = ['x', 'y', 'z', 'w'] as const;
/** WGSL type of 1 to 4 neighbouring values. */
const valuesOf = (width: number, type = 'f32'): string => (width === 1 ? type : `vec${width}<${type}>`);

/** Neighbours that one load of B takes: along k where B is [N, K], else one for each column of the lane. */
const widthB = ({ transposeB, columns }: Pick<GemmSpec, 'transposeB' | 'columns'>): number =>
  transposeB ? 4 : columns;

/** Neighbours of a row-major matrix, four by default, zero beyond the edge along the row. */
function loadFunction(name: string, matrix: string, vector: boolean, width = 4): string {
  const head = `fn ${name}(row: u32, column: u32, stride: u32, limit: u32, base: u32) -> ${valuesOf(width)}`;
  if (vector) return `${head} { return ${valuesOf(width)}(${matrix}[(base + row * stride + column) / ${width}u]); }`;
  const item = (j: number): string =>
    `select(0.0, f32(${matrix}[base + row * stride + min(column + ${j}u, limit - 1u)]), column + ${j}u < limit)`;
  return `${head} { return ${valuesOf(width)}(${range(width).map(item).join(', ')}); }`;
}

const activations: Record<Activation, string> = {
  none: 'v',
  relu: 'max(v, values(0.0))',
  gelu: '0.5 * v * (1.0 + tanh(clamp(0.7978845608028654 * (v + 0.044715 * v * v * v), values(-10.0), values(10.0))))',
  silu: 'v / (1.0 + exp(-v))',
};

/** What the sums of a tile start from: the bias of the lane's columns, loaded once for all rows. */
function startOf({ columns, bias }: GemmSpec): string {
  const items = range(columns).map((j) => `f32(bias[min(column + ${j}u, u.N - 1u)])`);
  return `let start = values(${bias ? items.join(', ') : '0.0'});`;
}

/** The tile's epilogue: activation, and a store that respects the matrix's edge. */
function storeFunction({ columns, vectorC, type, activation }: GemmSpec): string {
  const store = vectorC
    ? `c_data[(base + row * u.N + column) / ${columns}u] = ${valuesOf(columns, type)}(result);`
    : range(columns)
        .map(
          (j) =>
            `if (column + ${j}u < u.N) { c_data[base + row * u.N + column + ${j}u] = ${type}(result${columns > 1 ? `.${parts[j]}` : ''}); }`,
        )
        .join('\n  ');
  return `alias values = ${valuesOf(columns)};
fn store(row: u32, column: u32, base: u32, v: values) {
  if (row >= u.M || column >= u.N) { return; }
  let result = ${activations[activation]};
  ${store}
}`;
}

/** One step over 4 of K: B vectors, A vectors (lane = row, part = k), and the multiply-adds of every row. */
function stepRows({ lanes, rows, columns, transposeB }: GemmSpec, loadA: (group: number) => string): string {
  const groups = rows / lanes;
  const b = transposeB
    ? [
        ...range(columns).map((j) => `let t${j} = load_b(min(column + ${j}u, u.N - 1u), k, u.K, u.K, base_b);`),
        ...parts.map(
          (part, j) =>
            `let b${j} = values(${range(columns)
              .map((t) => `t${t}.${part}`)
              .join(', ')});`,
        ),
      ]
    : range(4).map((j) => `let b${j} = load_b(min(k + ${j}u, u.K - 1u), column_b, u.N, u.N, base_b);`);
  const a = range(groups).map((g) => `let a${g} = ${loadA(g)};`);
  const products = range(rows).map(
    (r) =>
      `{ let s = subgroupShuffle(a${Math.floor(r / lanes)}, ${r % lanes}u); c${r} += s.x * b0 + s.y * b1 + s.z * b2 + s.w * b3; }`,
  );
  return [...b, ...a, ...products].join('\n    ');
}

/**
 * One step over 4 of K where A is [K, M]: a load holds lanes/4 groups of four rows (part = row), lane = 4 (group in load) + k.
 * Rows of K beyond the end come in as zeros of A.
 */
function stepColumns({ lanes, rows }: GemmSpec, loadA: (load: number) => string): string {
  const perLoad = lanes / 4;
  const a = range(rows / lanes).map((load) => `let a${load} = ${loadA(load)};`);
  const steps = range(4).map((kk) => {
    const products = range(rows / 4).map((g) => {
      const shared = `subgroupShuffle(a${Math.floor(g / perLoad)}, ${4 * (g % perLoad) + kk}u)`;
      return `{ let s = ${shared}; ${parts.map((part, j) => `c${4 * g + j} += s.${part} * b;`).join(' ')} }`;
    });
    return `{ let b = load_b(min(k + ${kk}u, u.K - 1u), column_b, u.N, u.N, base_b);\n    ${products.join('\n    ')} }`;
  });
  return [...a, ...steps].join('\n    ');
}

/** Loops over taps and channels of a window; the row's pixel is decoded once, outside. */
function windowLoop(spec: GemmSpec): string {
  const groups = range(spec.rows / spec.lanes);
  const decode = groups.map(
    (g) => `let p${g} = min(row0 + ${g * spec.lanes}u + lane, u.M - 1u);
  let px${g} = i32(p${g} % u.outWidth); let py${g} = i32((p${g} / u.outWidth) % u.outHeight); let image${g} = p${g} / (u.outWidth * u.outHeight);`,
  );
  const place = (g: number): string =>
    spec.window === 'forward'
      ? `let y${g} = py${g} * i32(u.stride) + ky - i32(u.padTop); let x${g} = px${g} * i32(u.stride) + kx - i32(u.padLeft);
    let inside${g} = y${g} >= 0 && y${g} < i32(u.inHeight) && x${g} >= 0 && x${g} < i32(u.inWidth);`
      : `let sy${g} = py${g} + i32(u.padTop) - ky; let sx${g} = px${g} + i32(u.padLeft) - kx; let y${g} = sy${g} / i32(u.stride); let x${g} = sx${g} / i32(u.stride);
    let inside${g} = sy${g} >= 0 && sx${g} >= 0 && y${g} < i32(u.inHeight) && x${g} < i32(u.inWidth) && y${g} * i32(u.stride) == sy${g} && x${g} * i32(u.stride) == sx${g};`;
  const base = (g: number): string =>
    `let at${g} = select(0u, ((image${g} * u.inHeight + u32(y${g})) * u.inWidth + u32(x${g})) * u.channels, inside${g});`;
  return `${decode.join('\n  ')}
  for (var tap = 0u; tap < u.kernelHeight * u.kernelWidth; tap++) {
    let ky = i32(tap / u.kernelWidth); let kx = i32(tap % u.kernelWidth);
    ${groups.map((g) => `${place(g)}\n    ${base(g)}`).join('\n    ')}
    for (var channel = 0u; channel < u.channels; channel += 4u) {
    let k = tap * u.channels + channel;
    ${stepRows(spec, (g) => `select(vec4<f32>(0.0), vec4<f32>(a_data[(at${g} + channel) / 4u]), inside${g})`)}
    }
  }`;
}

/** Weight gradient: rows are (tap, channel), K runs over output pixels, four neighbours of one image row at a time. */
function weightLoop(spec: GemmSpec): string {
  const loads = range(spec.rows / spec.lanes);
  const decode = loads.map(
    (
      g,
    ) => `let r${g} = min(row0 + ${g * spec.lanes}u + lane / 4u * 4u, u.M - 4u); let tap${g} = r${g} / u.channels; let channel${g} = r${g} % u.channels;
  let ky${g} = i32(tap${g} / u.kernelWidth) - i32(u.padTop); let kx${g} = i32(tap${g} % u.kernelWidth) - i32(u.padLeft);`,
  );
  const load = (g: number): string =>
    `load_window(line${g}, px * i32(u.stride) + kx${g}, channel${g}, inside${g} && px < i32(u.outWidth))`;
  return `${decode.join('\n  ')}
  let lines = min((group.z + 1u) * u.partLines, u.K / u.outWidth);
  for (var line = group.z * u.partLines; line < lines; line++) {
    let image = line / u.outHeight; let py = i32(line % u.outHeight);
    ${loads.map((g) => `let y${g} = py * i32(u.stride) + ky${g}; let inside${g} = y${g} >= 0 && y${g} < i32(u.inHeight); let line${g} = (image * u.inHeight + u32(max(y${g}, 0))) * u.inWidth;`).join('\n    ')}
    for (var left = 0u; left < u.outWidth; left += 4u) {
    let px = i32(left + lane % 4u); let k = line * u.outWidth + left;
    ${stepColumns(spec, load)}
    }
  }`;
}

const windowLoad = `fn load_window(line: u32, x: i32, channel: u32, live: bool) -> vec4<f32> {
  let inside = live && x >= 0 && x < i32(u.inWidth);
  let at = select(0u, (line + u32(x)) * u.channels + channel, inside);
  return select(vec4<f32>(0.0), vec4<f32>(a_data[at / 4u]), inside);
}`;

function matrixLoop(spec: GemmSpec): string {
  const { lanes, transposeA } = spec;
  if (transposeA) {
    const row = (load: number): string => `row0 + ${load * lanes}u + lane / 4u * 4u`;
    const clamped = (load: number): string => (spec.vectorA ? `min(${row(load)}, u.M - 4u)` : row(load));
    const load = (i: number): string =>
      `select(vec4<f32>(0.0), load_a(min(k + lane % 4u, u.K - 1u), ${clamped(i)}, u.M, u.M, base_a), k + lane % 4u < u.K)`;
    return `for (var k = 0u; k < u.K; k += 4u) {
    ${stepColumns(spec, load)}
  }`;
  }
  return `for (var k = 0u; k < u.K; k += 4u) {
    ${stepRows(spec, (g) => `load_a(min(row0 + ${g * lanes}u + lane, u.M - 1u), k, u.K, u.K, base_a)`)}
  }`;
}

function subgroupBody(spec: GemmSpec): string {
  const loop =
    spec.window === 'none' ? matrixLoop(spec) : spec.window === 'weight' ? weightLoop(spec) : windowLoop(spec);
  return `
@compute @workgroup_size(${spec.lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let row0 = group.y * ${spec.rows}u;
  let column = group.x * ${spec.columns * spec.lanes}u + lane * ${spec.columns}u;
  let column_b = ${spec.vectorB && !spec.transposeB ? `min(column, u.N - ${spec.columns}u)` : 'column'};
  let base_a = group.z * u.batchA; let base_b = u.offsetB + group.z * u.batchB; let base_c = group.z * u.M * u.N;
  ${startOf(spec)}
  ${range(spec.rows)
    .map((r) => `var c${r} = start;`)
    .join(' ')}
  ${loop}
  ${range(spec.rows)
    .map((r) => `store(row0 + ${r}u, column, base_c, c${r});`)
    .join('\n  ')}
}`;
}

/** Scalar element of A at (row, k), through the window where there is one. */
function plainElement(spec: GemmSpec): string {
  const item = (index: string): string =>
    spec.vectorA ? `f32(a_data[(${index}) / 4u][(${index}) % 4u])` : `f32(a_data[${index}])`;
  if (spec.window === 'none')
    return `return ${item(spec.transposeA ? 'base_a + k * u.M + row' : 'base_a + row * u.K + k')};`;
  const pixel = spec.window === 'weight' ? 'k' : 'row';
  const column = spec.window === 'weight' ? 'row' : 'k';
  const place =
    spec.window === 'input'
      ? `let sy = py + i32(u.padTop) - ky; let sx = px + i32(u.padLeft) - kx; let y = sy / i32(u.stride); let x = sx / i32(u.stride);
  if (sy < 0 || sx < 0 || y * i32(u.stride) != sy || x * i32(u.stride) != sx) { return 0.0; }`
      : `let y = py * i32(u.stride) + ky - i32(u.padTop); let x = px * i32(u.stride) + kx - i32(u.padLeft);`;
  return `let px = i32(${pixel} % u.outWidth); let py = i32((${pixel} / u.outWidth) % u.outHeight); let image = ${pixel} / (u.outWidth * u.outHeight);
  let tap = ${column} / u.channels; let ky = i32(tap / u.kernelWidth); let kx = i32(tap % u.kernelWidth);
  ${place}
  if (y < 0 || x < 0 || y >= i32(u.inHeight) || x >= i32(u.inWidth)) { return 0.0; }
  let at = ((image * u.inHeight + u32(y)) * u.inWidth + u32(x)) * u.channels + ${column} % u.channels;
  return ${item('at')};`;
}

/** Four rows by four columns an invocation, no sharing: the reference for the fast kernels, and the fallback where subgroups are missing. */
function plainBody(spec: GemmSpec): string {
  const loadB = spec.transposeB
    ? `vec4<f32>(${range(4)
        .map((j) => `load_b(min(column + ${j}u, u.N - 1u), k / 4u * 4u, u.K, u.K, base_b)[k % 4u]`)
        .join(', ')})`
    : 'load_b(k, column_b, u.N, u.N, base_b)';
  return `
fn element_a(row: u32, k: u32, base_a: u32) -> f32 { ${plainElement(spec)} }
@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let row0 = (group.y * 8u + local.y) * 4u;
  let column = (group.x * 8u + local.x) * 4u;
  let column_b = ${spec.vectorB && !spec.transposeB ? 'min(column, u.N - 4u)' : 'column'};
  let base_a = group.z * u.batchA; let base_b = u.offsetB + group.z * u.batchB; let base_c = group.z * u.M * u.N;
  ${startOf(spec)}
  ${range(4)
    .map((r) => `var c${r} = start;`)
    .join(' ')}
  ${spec.window === 'weight' ? 'let first = group.z * u.partLines * u.outWidth; let last = min(first + u.partLines * u.outWidth, u.K);' : 'let first = 0u; let last = u.K;'}
  for (var k = first; k < last; k++) {
    let b = ${loadB};
    ${range(4)
      .map((r) => `c${r} += element_a(min(row0 + ${r}u, u.M - 1u), k, base_a) * b;`)
      .join('\n    ')}
  }
  ${range(4)
    .map((r) => `store(row0 + ${r}u, column, base_c, c${r});`)
    .join('\n  ')}
}`;
}

/** Rows and columns of the tile that one workgroup computes. */
export const tileOf = ({
  lanes,
  rows,
  columns,
}: Pick<GemmSpec, 'lanes' | 'rows' | 'columns'>): { rows: number; columns: number } =>
  lanes === 0 ? { rows: 32, columns: 32 } : { rows, columns: columns * lanes };

const base: GemmSpec = {
  lanes: 8,
  rows: 16,
  columns: 4,
  transposeA: false,
  transposeB: false,
  vectorA: true,
  vectorB: true,
  vectorC: true,
  type: 'f32',
  bias: false,
  activation: 'none',
  window: 'none',
};

/**
 * C[z] = activation(A[z] B[z] + bias), accumulated in f32.  A: [M, K] or [K, M], B: [K, N] or [N, K], C: [M, N], bias: [N].
 * One subgroup computes a tile of C: A vectors are shared by shuffles, each lane owns neighbouring columns.
 */
export const gemmKernel: Kernel<GemmSpec> = defineKernel<GemmSpec>({
  name: 'gemm',
  bindings: ({ type, columns, transposeB, vectorA, vectorB, vectorC, bias }) => ({
    a_data: `read ${valuesOf(vectorA ? 4 : 1, type)}`,
    b_data: `read ${valuesOf(vectorB ? widthB({ transposeB, columns }) : 1, type)}`,
    ...(bias && { bias: `read ${type}` }),
    c_data: `write ${valuesOf(vectorC ? columns : 1, type)}`,
  }),
  uniforms: {
    M: 'u32',
    N: 'u32',
    K: 'u32',
    batchA: 'u32',
    batchB: 'u32',
    offsetB: 'u32',
    ...windowUniforms,
  },
  enables: ({ lanes }) => (lanes ? ['subgroups'] : []),
  code: (spec) =>
    [
      ...(spec.window === 'none' && spec.lanes ? [loadFunction('load_a', 'a_data', spec.vectorA)] : []),
      ...(spec.window === 'weight' && spec.lanes ? [windowLoad] : []),
      loadFunction('load_b', 'b_data', spec.vectorB, widthB(spec)),
      storeFunction(spec),
      spec.lanes ? subgroupBody(spec) : plainBody(spec),
    ].join('\n'),
  flops: ({ uniforms: u, spec, grid }) => 2 * u['M']! * u['N']! * u['K']! * (spec.window === 'weight' ? 1 : grid[2]),
  examples: [
    base,
    { ...base, transposeB: true, bias: true, activation: 'gelu' },
    { ...base, transposeA: true, type: 'f16' },
    {
      ...base,
      lanes: 4,
      rows: 8,
      vectorA: false,
      vectorB: false,
      vectorC: false,
      transposeB: true,
    },
    { ...base, lanes: 0, transposeB: true },
    {
      ...base,
      lanes: 0,
      transposeA: true,
      vectorA: false,
      vectorB: false,
      vectorC: false,
      activation: 'silu',
    },
    { ...base, window: 'forward', bias: true },
    { ...base, window: 'input' },
    { ...base, window: 'weight', transposeA: true },
    {
      ...base,
      rows: 32,
      columns: 3,
      vectorB: false,
      vectorC: false,
      window: 'forward',
      bias: true,
    },
    { ...base, rows: 32, columns: 2, window: 'weight', transposeA: true, type: 'f16' },
    { ...base, rows: 32, columns: 1, transposeB: true, bias: true, activation: 'silu' },
    { ...base, window: 'weight', lanes: 0, transposeA: true },
    { ...base, window: 'input', lanes: 0 },
  ],
});
