/** How floats lie in a buffer; `packed` is two halves in a u32, which needs no feature of the adapter. */
export type FloatStorage = 'f32' | 'f16' | 'packed';

/** How a tensor's elements lie in a buffer. */
export type Storage = FloatStorage | 'u32' | 'i32';

/** What a kernel that stores single elements of several owners can store: not halves that share a word. */
export type SingleStorage = Exclude<Storage, 'packed'>;

/** WGSL type of 1 to 4 neighbouring values. */
export const valuesOf = (width: number, type = 'f32'): string => (width === 1 ? type : `vec${width}<${type}>`);

/** WGSL element type of a buffer from which `width` neighbours are taken whole; of packed halves never fewer than two. */
export function elementType(storage: Storage, width: number): string {
  if (storage === 'packed') return width === 4 ? 'vec2<u32>' : 'u32';
  return valuesOf(width, storage);
}

/**
 * WGSL functions between halves in words and f32, for the shaders that name one of them. Beyond the largest half `pack2x16float` may give anything,
 * on SwiftShader a NaN, so infinities are put in by hand: skipped steps and dropped logits need them.
 */
const wordFunctions = `fn unpack4(words: vec2<u32>) -> vec4<f32> { return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y)); }
fn half_at(word: u32, index: u32) -> f32 { return unpack2x16float(word >> ((index & 1u) * 16u)).x; }
fn pack2(v: vec2<f32>) -> u32 {
  let over = abs(v) >= vec2<f32>(65520.0);
  let word = pack2x16float(select(v, vec2<f32>(0.0), over));
  let infinite = select(vec2<u32>(0x7c00u), vec2<u32>(0xfc00u), v < vec2<f32>(0.0));
  return word | select(0u, infinite.x, over.x) | select(0u, infinite.y << 16u, over.y);
}
fn pack4(v: vec4<f32>) -> vec2<u32> { return vec2<u32>(pack2(v.xy), pack2(v.zw)); }`;

/** The functions that a shader's code needs for packed halves. */
export const wordFunctionsFor = (code: string): string =>
  /\b(unpack4|half_at|pack[24])\(/.test(code) ? wordFunctions : '';

/** The type that values are computed in: f32 for every kind of float. */
export const computedType = (storage: Storage): 'f32' | 'u32' | 'i32' =>
  storage === 'u32' || storage === 'i32' ? storage : 'f32';

/** WGSL: what a buffer that is bound by vectors holds at a place, as a vector of four to compute with. */
export const vectorOf = (storage: Storage, item: string): string =>
  storage === 'packed' ? `unpack4(${item})` : `vec4<${computedType(storage)}>(${item})`;

/** WGSL: element `index` of a buffer that is bound by single elements; packed halves are bound by words. */
export const elementAt = (storage: Storage, buffer: string, index: string): string =>
  storage === 'packed'
    ? `half_at(${buffer}[(${index}) / 2u], ${index})`
    : `${computedType(storage)}(${buffer}[${index}])`;

/** WGSL: the way back: a vector of four as the buffer holds it. */
export const storedVector = (storage: Storage, value: string): string =>
  storage === 'packed' ? `pack4(${value})` : `vec4<${storage}>(${value})`;

/** Elements that one invocation of a kernel over single elements owns: halves that share a word have one owner. */
export const elementsOwned = (storage: Storage): 1 | 2 => (storage === 'packed' ? 2 : 1);

interface OwnElements {
  /** WGSL: number of the owner. */
  readonly own: string;
  /** WGSL: elements in all; the last word may hold one. */
  readonly count: string;
  /** WGSL: the value of the element of an index, in the computed type. */
  readonly value: (index: string) => string;
}

/** WGSL statement: stores the elements that an owner has; an owner beyond the last one stores nothing. */
export const storeOwn = (storage: Storage, buffer: string, { own, count, value }: OwnElements): string =>
  storage === 'packed'
    ? `if (2u * (${own}) < ${count}) { ${buffer}[${own}] = pack2(vec2<f32>(${value(`2u * (${own})`)}, ${value(`min(2u * (${own}) + 1u, ${count} - 1u)`)})); }`
    : `if (${own} < ${count}) { ${buffer}[${own}] = ${storage}(${value(own)}); }`;
