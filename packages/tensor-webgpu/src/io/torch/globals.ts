import type { StoredDType } from '../host-tensor.ts';
import type { ByteSource } from '../source.ts';
import { expectThat, shown, TorchFileError } from './errors.ts';
import { TorchTensor, type TorchStorage } from './tensor.ts';
import { isTorchMap, TorchName, type TorchValue } from './values.ts';

/** What a pickle builds while it is read: values, and storages that only tensors hold. */
export type PickleValue = TorchValue | TorchStorage;

/** What calls of a file's functions need. */
export interface CallContext {
  readonly source: ByteSource;
  /** Counts copied elements, so that a small file cannot ask for much work. @throws TorchFileError beyond the budget */
  spend(elements: number): void;
}

type Call = (args: readonly PickleValue[], context: CallContext) => PickleValue;

const storageTypes: Readonly<Record<string, StoredDType | undefined>> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
  UntypedStorage: undefined,
};

const dtypes: Readonly<Record<string, StoredDType>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  float8_e4m3fn: 'F8_E4M3',
  float8_e5m2: 'F8_E5M2',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint64: 'U64',
  uint32: 'U32',
  uint16: 'U16',
  uint8: 'U8',
  bool: 'BOOL',
};

/** Element type of a storage class; undefined for untyped bytes. @throws TorchFileError for anything else */
export function storageDType(type: PickleValue | undefined): StoredDType | undefined {
  const name = type instanceof TorchName ? type.name.replace(/^torch\.(storage\.)?/, '') : '';
  expectThat(Object.hasOwn(storageTypes, name), () => `storage must have a type of torch, got ${nameOf(type)}.`);
  return storageTypes[name];
}

const nameOf = (value: unknown): string => (value instanceof TorchName ? value.name : shown(value));
const broken = (what: string, got: unknown): TorchFileError =>
  new TorchFileError(`${what}, got ${nameOf(got)}. The file is damaged; fetch it again.`);

function sides(value: PickleValue | undefined): number[] {
  if (Array.isArray(value) && value.every((side) => typeof side === 'number')) return value as number[];
  throw broken('tensor must have lists of whole numbers as shape and strides', value);
}

const isStorage = (value: unknown): value is TorchStorage =>
  typeof value === 'object' && value !== null && 'locate' in value;

/** A view of a storage: arguments storage, offset, shape, strides. */
function rebuild(args: readonly PickleValue[], source: ByteSource, given?: StoredDType): TorchTensor {
  const [storage, offset, shape, strides] = args;
  if (!isStorage(storage)) throw broken('tensor must have a storage', storage);
  const dtype = given ?? storage.dtype;
  if (!dtype) throw broken('tensor over untyped bytes must have a dtype', dtype);
  if (typeof offset !== 'number') throw broken('tensor must have a whole offset', offset);
  return new TorchTensor(source, storage, { dtype, shape: sides(shape), strides: sides(strides), offset });
}

function rebuildTyped(args: readonly PickleValue[], source: ByteSource): TorchTensor {
  const name = args[6] instanceof TorchName ? args[6].name.replace('torch.', '') : '';
  if (!Object.hasOwn(dtypes, name)) throw broken('tensor must have a dtype that can be read', args[6]);
  return rebuild(args, source, dtypes[name]!);
}

const tensorCalls: Readonly<Record<string, Call>> = {
  'torch._utils._rebuild_tensor': (args, { source }) => rebuild(args, source),
  'torch._utils._rebuild_tensor_v2': (args, { source }) => rebuild(args, source),
  'torch._utils._rebuild_tensor_v3': (args, { source }) => rebuildTyped(args, source),
};

const firstTensor: Call = ([tensor]) => {
  if (tensor instanceof TorchTensor) return tensor;
  throw broken('parameter must hold a tensor', tensor);
};

/** A tensor with attributes of its own, which are left out: arguments function, type, arguments, attributes. */
const rebuildFromType: Call = ([call, , args], context) => {
  const name = nameOf(call);
  if (!Object.hasOwn(tensorCalls, name) || !Array.isArray(args))
    throw broken('tensor must be rebuilt by a function of tensors', call);
  return tensorCalls[name]!(args as PickleValue[], context);
};

const emptyMap: Call = (args) => {
  if (args.length && !args.every((arg) => arg instanceof TorchName)) throw broken('object must be made empty', args);
  return new Map();
};

/** Objects whose attributes are all that matters. */
const plainObjects = new WeakSet<object>();

const plainObject: Call = (args) => {
  if (args.length) throw broken('object must be made without arguments', args);
  const made = new Map<TorchValue, TorchValue>();
  plainObjects.add(made);
  return made;
};

/** A dictionary from the list of pairs that older Pythons wrote. */
const orderedDict: Call = ([pairs], { spend }) => {
  if (pairs === undefined) return new Map();
  if (!Array.isArray(pairs) || !pairs.every((pair) => Array.isArray(pair) && pair.length === 2))
    throw broken('OrderedDict must be made of pairs', pairs);
  spend(pairs.length);
  return new Map(pairs as [TorchValue, TorchValue][]);
};

const elements: Call = ([items]) => {
  if (items === undefined) return [];
  if (Array.isArray(items)) return items as TorchValue[];
  throw broken('collection must be made of a list', items);
};

const text =
  (separator: string): Call =>
  (parts, { spend }) => {
    if (!parts.every((part) => typeof part === 'string' || typeof part === 'number'))
      throw broken('name must be of texts', parts);
    spend(parts.reduce<number>((sum, part) => sum + String(part).length, 0));
    return parts.join(separator);
  };

/** Bytes, which protocol 2 writes as text in Latin-1. */
const encode: Call = ([value, encoding], { spend }) => {
  if (typeof value !== 'string' || encoding !== 'latin1') throw broken('bytes must be text in latin1', value);
  spend(value.length);
  return Uint8Array.from(value, (letter) => letter.charCodeAt(0));
};

const numpyReaders: Readonly<Record<string, (view: DataView) => number>> = {
  f8: (view) => view.getFloat64(0, true),
  f4: (view) => view.getFloat32(0, true),
  i8: (view) => Number(view.getBigInt64(0, true)),
  i4: (view) => view.getInt32(0, true),
  u1: (view) => view.getUint8(0),
  b1: (view) => view.getUint8(0),
};

/** A number as numpy keeps it: a type and little-endian bytes. */
const numpyScalar: Call = ([type, bytes]) => {
  const code = type instanceof TorchName ? type.name.replace('numpy.', '') : '';
  if (!Object.hasOwn(numpyReaders, code) || !(bytes instanceof Uint8Array) || bytes.length !== Number(code[1]))
    throw broken('number of numpy must have a plain type', type);
  return numpyReaders[code]!(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
};

const numpyType: Call = ([code]) => {
  if (typeof code === 'string' && Object.hasOwn(numpyReaders, code)) return new TorchName(`numpy.${code}`);
  throw broken(`dtype of numpy must be one of ${Object.keys(numpyReaders)}`, code);
};

/** Functions and classes that a file may call; each builds plain values, and none runs anything of the file. */
const calls: Readonly<Record<string, Call>> = {
  ...tensorCalls,
  'torch._utils._rebuild_parameter': firstTensor,
  'torch._utils._rebuild_parameter_with_state': firstTensor,
  'torch._tensor._rebuild_from_type_v2': rebuildFromType,
  'torch.Size': elements,
  'torch.device': text(':'),
  'collections.OrderedDict': orderedDict,
  'collections.defaultdict': emptyMap,
  'argparse.Namespace': plainObject,
  'types.SimpleNamespace': plainObject,
  'builtins.set': elements,
  'builtins.frozenset': elements,
  'builtins.list': elements,
  'builtins.tuple': elements,
  'builtins.dict': emptyMap,
  'pathlib.PosixPath': text('/'),
  'pathlib.PurePosixPath': text('/'),
  '_codecs.encode': encode,
  'numpy.dtype': numpyType,
  'numpy.core.multiarray.scalar': numpyScalar,
  'numpy._core.multiarray.scalar': numpyScalar,
};

/** Types that a file may name without calling them. */
const names: ReadonlySet<string> = new Set([
  ...Object.keys(storageTypes).map((name) => `torch.${name}`),
  'torch.storage.UntypedStorage',
  ...Object.keys(dtypes).map((name) => `torch.${name}`),
  ...['int', 'float', 'str', 'bool'].map((name) => `builtins.${name}`),
  'torch.Tensor',
  'torch.nn.parameter.Parameter',
]);

/** A function or type of the list. @throws TorchFileError for any other, by its name */
export function findGlobal(module: string, name: string): TorchName {
  const full = `${module === '__builtin__' ? 'builtins' : module}.${name}`;
  if (Object.hasOwn(calls, full) || names.has(full)) return new TorchName(full);
  throw new TorchFileError(
    `global ${shown(`${module}.${name}`)} must be a type of tensors or plain values. Nothing was run. Save the state_dict alone, and trust no file that asks for more.`,
  );
}

/** Calls a function of the list. */
export function callGlobal(
  target: PickleValue | undefined,
  args: PickleValue | undefined,
  context: CallContext,
): PickleValue {
  if (!(target instanceof TorchName) || !Object.hasOwn(calls, target.name))
    throw broken('only functions of the list can be called', target);
  if (!Array.isArray(args)) throw broken(`${target.name} must be called with a tuple`, args);
  return calls[target.name]!(args as PickleValue[], context);
}

/** Gives an object its attributes: plain objects take them, dictionaries and tensors go without. */
export function setState(
  target: PickleValue | undefined,
  state: PickleValue | undefined,
  { spend }: CallContext,
): void {
  if (!(target instanceof Map || target instanceof TorchTensor || target instanceof TorchName))
    throw broken('only objects take attributes', target);
  if (!(target instanceof Map) || !plainObjects.has(target) || !isTorchMap(state)) return;
  spend(state.size);
  for (const [key, value] of state) target.set(key, value);
}
