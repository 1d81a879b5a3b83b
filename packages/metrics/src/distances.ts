import { matmul, scope, type Tensor, tensor } from '@star-webgpu/tensor-webgpu';

/** Rows a side of one product: bounds the device memory. */
const chunkRows = 256;

const chunks = <T>(items: readonly T[]): { start: number; rows: readonly T[] }[] =>
  Array.from({ length: Math.ceil(items.length / chunkRows) }, (_, i) => ({
    start: i * chunkRows,
    rows: items.slice(i * chunkRows, (i + 1) * chunkRows),
  }));

const squaredNorm = (vector: Float32Array): number => vector.reduce((sum, value) => sum + value * value, 0);

/** |x - g|^2 of every pair, from products in float32 on the device; good to about 1e-6 of |x|^2 + |g|^2. */
export async function squaredDistances(
  samples: readonly Float32Array[],
  gallery: readonly Float32Array[],
): Promise<{ rows: readonly Float64Array[]; margin: number }> {
  const [xs, gs] = centred(samples, gallery);
  const [xNorms, gNorms] = [xs.map(squaredNorm), gs.map(squaredNorm)];
  const rows = xs.map((_, i) => Float64Array.from(gNorms, (norm) => norm + xNorms[i]!));
  for (const x of chunks(xs))
    for (const g of chunks(gs)) {
      const products = await productsOf(x.rows, g.rows);
      for (let i = 0; i < products.length; i++) {
        const [row, column] = [Math.floor(i / g.rows.length), i % g.rows.length];
        rows[x.start + row]![g.start + column]! -= 2 * products[i]!;
      }
    }
  return { rows, margin: 1e-4 * (largest(xNorms) + largest(gNorms)) };
}

const largest = (values: readonly number[]): number => values.reduce((most, value) => Math.max(most, value), 0);

/** Both sets without the mean of the gallery: shorter vectors lose less to rounding. */
function centred(samples: readonly Float32Array[], gallery: readonly Float32Array[]): [Float32Array[], Float32Array[]] {
  const mean = new Float64Array(gallery[0]!.length);
  for (const vector of gallery) vector.forEach((value, i) => (mean[i]! += value / gallery.length));
  const centre = (vector: Float32Array): Float32Array => vector.map((value, i) => value - mean[i]!);
  return [samples.map(centre), gallery.map(centre)];
}

/** x g^T on the device. x: [S, D], g: [R, D] -> [S, R]. */
async function productsOf(x: readonly Float32Array[], g: readonly Float32Array[]): Promise<Float32Array> {
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
