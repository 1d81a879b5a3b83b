import { matmul, tensor } from '@star-webgpu/tensor-webgpu';
import type { Contender } from '@star-webgpu/tensor-webgpu/testing';
import type { Peers } from './peers.ts';

/** Deterministic values in [-1, 1). */
const values = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin((i + seed) * 12.9898));

interface Product {
  readonly name: string;
  readonly run: () => Promise<Float32Array | null>;
  readonly result: () => Promise<Float32Array>;
}

/** The product of two n x n matrices on tensor-webgpu, jax-js and tfjs, all on one adapter; outputs are checked against each other first. */
export async function matmulContenders(n: number, peers: Peers): Promise<Contender[]> {
  const a = values(n * n, 1);
  const b = values(n * n, 7);
  const products = [ours(a, b, n), jax(a, b, n, peers), tfjs(a, b, n, peers)];
  const reference = await products[0]!.result();
  for (const { name, result } of products.slice(1)) checkClose(name, await result(), reference);
  return products.map(({ name, run }) => ({ name, run: async () => void (await run()) }));
}

function ours(a: Float32Array, b: Float32Array, n: number): Product {
  const x = tensor(a, [n, n]);
  const y = tensor(b, [n, n]);
  const { device } = x.storage;
  const run = async (): Promise<null> => {
    matmul(x, y).dispose();
    await device.idle();
    return null;
  };
  return { name: 'tensor-webgpu', run, result: () => matmul(x, y).data() };
}

function jax(a: Float32Array, b: Float32Array, n: number, { jax: { numpy, blockUntilReady } }: Peers): Product {
  const x = numpy.array(a).reshape([n, n]);
  const y = numpy.array(b).reshape([n, n]);
  const product = (): ReturnType<typeof numpy.matmul> => numpy.matmul(x.ref, y.ref);
  const run = async (): Promise<null> => {
    const z = product();
    await blockUntilReady(z);
    z.dispose();
    return null;
  };
  return { name: 'jax-js webgpu', run, result: async () => Float32Array.from(await product().data()) };
}

function tfjs(a: Float32Array, b: Float32Array, n: number, { tf }: Peers): Product {
  const x = tf.tensor2d(a, [n, n]);
  const y = tf.tensor2d(b, [n, n]);
  const run = async (): Promise<null> => {
    const z = tf.matMul(x, y);
    const corner = tf.slice(z, [0, 0], [1, 1]);
    await corner.data();
    tf.dispose([z, corner]);
    return null;
  };
  return { name: 'tfjs webgpu', run, result: async () => (await tf.matMul(x, y).data()) as Float32Array };
}

function checkClose(name: string, got: Float32Array, want: Float32Array): void {
  const worst = got.reduce((error, value, i) => Math.max(error, Math.abs(value - want[i]!)), 0);
  if (!(worst < 1e-2))
    throw new Error(`${name}: product must agree with ours within 0.01, got a difference of ${worst}.`);
}
