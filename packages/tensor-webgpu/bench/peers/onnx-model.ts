import { type Field, message } from './protobuf.ts';

/** Values on the host that a model reads: f16 as 16-bit patterns, int64 as bigints. */
export interface OnnxTensor {
  readonly values: Float32Array | Uint16Array | BigInt64Array;
  readonly shape: readonly number[];
}

/** One operator of a graph; attributes are whole numbers or lists of them. An input may be left out by an empty name. */
export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>;
  /** Set of operators, where it is not the standard's. */
  readonly domain?: string;
}

/** A graph: inputs are fed at each run, constants lie in the model. */
export interface OnnxWork {
  readonly inputs: Readonly<Record<string, OnnxTensor>>;
  readonly constants?: Readonly<Record<string, OnnxTensor>>;
  readonly nodes: readonly OnnxNode[];
  /** Results with their shapes, in the order in which they are compared. */
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  readonly toOurs?: (outputs: readonly Float32Array[]) => readonly Float32Array[];
}

/** One operator with one result. */
export const node = (
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: OnnxNode['attributes'] = {},
): OnnxNode => ({ op, inputs, outputs: [output], attributes });

/** Numbers of onnx.proto3's enumerations. */
const elementTypes = { Float32Array: 1, BigInt64Array: 7, Uint16Array: 10 } as const;
const attributeTypes = { int: 2, ints: 7 } as const;
const irVersion = 8;
/** Versions of the operators by domain. */
const operatorSets = { '': 17, 'com.microsoft': 1 } as const;

const elementType = ({ values }: OnnxTensor): number =>
  elementTypes[values.constructor.name as keyof typeof elementTypes];

/** The model as a file of onnx.proto3. All results have the element type of the first input. */
export function onnxModel({ inputs, constants = {}, nodes, outputs }: OnnxWork): Uint8Array<ArrayBuffer> {
  const type = elementType(Object.values(inputs)[0]!);
  const graph = message([
    ...nodes.map((one): Field => [1, nodeMessage(one)]),
    [2, 'row'],
    ...Object.entries(constants).map(([name, value]): Field => [5, tensorMessage(name, value)]),
    ...Object.entries(inputs).map(([name, value]): Field => [11, valueInfo(name, elementType(value), value.shape)]),
    ...Object.entries(outputs).map(([name, shape]): Field => [12, valueInfo(name, type, shape)]),
  ]);
  return message([
    [1, irVersion],
    [7, graph],
    ...Object.entries(operatorSets).map(([domain, version]): Field => [8, operatorSet(domain, version)]),
  ]);
}

const operatorSet = (domain: string, version: number): Uint8Array =>
  message([
    [1, domain],
    [2, version],
  ]);

function nodeMessage({ op, inputs, outputs, attributes = {}, domain = '' }: OnnxNode): Uint8Array {
  return message([
    ...inputs.map((name): Field => [1, name]),
    ...outputs.map((name): Field => [2, name]),
    [4, op],
    ...Object.entries(attributes).map(([name, value]): Field => [5, attributeMessage(name, value)]),
    [7, domain],
  ]);
}

const attributeMessage = (name: string, value: number | readonly number[]): Uint8Array =>
  typeof value === 'number'
    ? message([
        [1, name],
        [3, value],
        [20, attributeTypes.int],
      ])
    : message([[1, name], ...value.map((item): Field => [8, item]), [20, attributeTypes.ints]]);

function tensorMessage(name: string, tensor: OnnxTensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = tensor.values;
  return message([
    ...tensor.shape.map((side): Field => [1, side]),
    [2, elementType(tensor)],
    [8, name],
    [9, new Uint8Array(buffer, byteOffset, byteLength)],
  ]);
}

function valueInfo(name: string, type: number, shape: readonly number[]): Uint8Array {
  const sides = message(shape.map((side): Field => [1, message([[1, side]])]));
  const tensorType = message([
    [1, type],
    [2, sides],
  ]);
  return message([
    [1, name],
    [2, message([[1, tensorType]])],
  ]);
}
