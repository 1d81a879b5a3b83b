import { describe, expect, it } from 'vitest';
import { node, onnxModel } from './onnx-model.ts';
import { message } from './protobuf.ts';

describe('message', () => {
  it('writes whole numbers in base 128 and text with its length', () => {
    // Field 1, varint 300 = 0b10_0101100; field 2, two bytes.
    expect([
      ...message([
        [1, 300],
        [2, 'hi'],
      ]),
    ]).toEqual([0x08, 0xac, 0x02, 0x12, 2, 0x68, 0x69]);
  });
});

describe('onnxModel', () => {
  it('is a model that onnxruntime loads and runs', async () => {
    const { InferenceSession, Tensor } = await import('onnxruntime-node');
    const values = Float32Array.of(1, 2, 3, 4, 5, 6);
    const model = onnxModel({
      inputs: { a: { values, shape: [2, 3] } },
      constants: { b: { values: Float32Array.of(2), shape: [] } },
      nodes: [node('Transpose', ['a'], 'turned', { perm: [1, 0] }), node('Mul', ['turned', 'b'], 'c')],
      outputs: { c: [3, 2] },
    });
    const session = await InferenceSession.create(model, { executionProviders: ['cpu'] });
    const { c } = await session.run({ a: new Tensor('float32', values, [2, 3]) });
    expect(c!.dims).toEqual([3, 2]);
    expect([...(c!.data as Float32Array)]).toEqual([2, 8, 4, 10, 6, 12]);
  });
});
