import { matmul, scope, type Tensor, tensor } from '@star-webgpu/tensor-webgpu';

/** Rows a side of one product: bounds the device memory. */
const chunkRows = 512;

interface Chunk<T> {
  readonly start: number;
  readonly rows: readonly T[];
}

const chunks = <T>(items: readonly T[]): Chunk<T>[] =>
  Array.from({ length: Math.ceil(items.length / chunkRows) }, (_, i) => ({
    start: i * chunkRows,
    rows: items.slice(i * chunkRows, (i + 1) * chunkRows),
  }));

const squaredNorm = (vector: Float32Array): number => vector.reduce((sum, value) => sum + value * value, 0);

/** |x - g|^2 of some samples and the whole gallery, one row a sample; `start` is the first sample's place. */
export type DistanceRows = Chunk<Float64Array>;

/** |x - g|^2 of every pair by runs of samples, from products in float32 on the device; good to about 1e-6 of |x|^2 + |g|^2. */
export async function* distanceRows(
  samples: readonly Float32Array[],
  gallery: readonly Float32Array[],
): AsyncGenerator<DistanceRows> {
  const [xs, gs] = centred(samples, gallery);
  const gNorms = gs.map(squaredNorm);
  for (const x of chunks(xs)) {
    const rows = x.rows.map((vector) => {
      const norm = squaredNorm(vector);
      return Float64Array.from(gNorms, (other) => norm + other);
    });
    for (const g of chunks(gs)) {
      const products = await productsOf(x.rows, g.rows);
      for (let i = 0; i < products.length; i++)
        rows[Math.floor(i / g.rows.length)]![g.start + (i % g.rows.length)]! -= 2 * products[i]!;
    }
    yield { start: x.start, rows };
  }
}

/** All rows at once, and how far apart two distances must be for their order to be sure. */
export async function squaredDistances(
  samples: readonly Float32Array[],
  gallery: readonly Float32Array[],
): Promise<{ rows: readonly Float64Array[]; margin: number }> {
  const rows: Float64Array[] = [];
  for await (const several of distanceRows(samples, gallery)) rows.push(...several.rows);
  const [xs, gs] = centred(samples, gallery);
  return { rows, margin: 1e-4 * (largest(xs.map(squaredNorm)) + largest(gs.map(squaredNorm))) };
}

const largest = (values: readonly number[]): number => values.reduce((most, value) => Math.max(most, value), 0);

/** Both sets without the mean of the gallery: shorter vectors lose less to rounding. */
function centred(samples: readonly Float32Array[], gallery: readonly Float32Array[]): [Float32Array[], Float32Array[]] {
  const mean = new Float64Array(gallery[0]!.length);
  for (const vector of gallery) vector.forEach((value, i) => (mean[i]! += value / gallery.length));
  const centre = (vector: Float32Array): Float32Array => vector.map((value, i) => value - mean[i]!);
  return [samples.map(centre), gallery.map(centre)];
}

/** x g^T on the device, in float32. x: [S, D], g: [R, D] -> [S, R] row-major. */
export async function productsOf(x: readonly Float32Array[], g: readonly Float32Array[]): Promise<Float32Array> {
  const upload = (rows: readonly Float32Array[]): Tensor => tensor(joined(rows), [rows.length, rows[0]!.length]);
  const products = scope(() => matmul(upload(x), upload(g), { transposeB: true }));
  try {
    return await products.data();
  } finally {
    products.dispose();
  }
}

function joined(rows: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(rows.length * rows[0]!.length);
  rows.forEach((row, i) => all.set(row, i * row.length));
  return all;
}
