import { fromHalfBits } from '@star-webgpu/tensor-webgpu';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Candidate } from '../harness/row.ts';
import { node, onnxModel, type OnnxTensor, type OnnxWork } from './onnx-model.ts';

type Ort = typeof import('onnxruntime-node');

/** onnxruntime-node's WebGPU provider, on its own Dawn and adapter. @throws Error if this build of it has none. */
export async function loadOnnx(): Promise<(name: string, build: () => OnnxWork) => Promise<Candidate>> {
  const ort = await import('onnxruntime-node');
  const found = ort.listSupportedBackends().map(({ name }) => name);
  if (!found.includes('webgpu'))
    throw new Error(`onnxruntime-node has no WebGPU provider here, only ${found.join(', ')}`);
  return (name, build) => candidateOf(ort, name, build());
}

/** A graph in a session. Runs return one element of each result, so that only the work is timed and not its way to the host. */
async function candidateOf(ort: Ort, name: string, work: OnnxWork): Promise<Candidate> {
  const feeds = Object.fromEntries(Object.entries(work.inputs).map(([input, value]) => [input, feedOf(ort, value)]));
  const timed = await sessionOf(ort, withCorners(work));
  return {
    name,
    kind: 'webgpu',
    run: async () => void (await timed.run(feeds)),
    outputs: async () => {
      const session = await sessionOf(ort, work);
      const results = await session.run(feeds);
      const outputs = Object.keys(work.outputs).map((output) => floatsOf(results[output]!));
      await session.release();
      return work.toOurs ? work.toOurs(outputs) : outputs;
    },
    dispose: () => timed.release(),
  };
}

/** A session on the WebGPU provider alone: a graph that it cannot run whole is refused, so that no operator falls back to the CPU. */
const sessionOf = (ort: Ort, work: OnnxWork): Promise<InferenceSession> =>
  ort.InferenceSession.create(onnxModel(work), {
    executionProviders: ['webgpu'],
    logSeverityLevel: 3,
    extra: { session: { disable_cpu_ep_fallback: '1' } },
  });

function feedOf(ort: Ort, { values, shape }: OnnxTensor): Tensor {
  if (values instanceof Float32Array) return new ort.Tensor('float32', values, shape);
  if (values instanceof Uint16Array) return new ort.Tensor('float16', values, shape);
  return new ort.Tensor('int64', values, shape);
}

function floatsOf({ data }: Tensor): Float32Array {
  if (data instanceof Float32Array) return data;
  return Float32Array.from(data as Uint16Array, fromHalfBits);
}

/** The same graph, giving one element of each result. */
function withCorners(work: OnnxWork): OnnxWork {
  const outputs = Object.entries(work.outputs).filter(([, shape]) => shape.length > 0);
  const whole = Object.entries(work.outputs).filter(([, shape]) => shape.length === 0);
  const indices = (count: number, value: bigint): OnnxTensor => ({
    values: BigInt64Array.from({ length: count }, () => value),
    shape: [count],
  });
  const constants = outputs.map(([name, { length }]) => ({
    [`${name}_from`]: indices(length, 0n),
    [`${name}_to`]: indices(length, 1n),
  }));
  return {
    inputs: work.inputs,
    constants: Object.assign({}, work.constants, ...constants) as Record<string, OnnxTensor>,
    nodes: [
      ...work.nodes,
      ...outputs.map(([name]) => node('Slice', [name, `${name}_from`, `${name}_to`], `${name}_corner`)),
    ],
    outputs: Object.fromEntries([
      ...whole,
      ...outputs.map(([name, shape]): [string, number[]] => [`${name}_corner`, shape.map(() => 1)]),
    ]),
  };
}
