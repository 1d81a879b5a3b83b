/** Independent chains: enough to hide the latency of two instructions, few enough to stay in sixteen registers. */
const chains = 12;
/** Steps of every chain in one turn of the loop. */
const unroll = 8;
const lanes = 4;

/** Floating-point operations of one turn. */
export const operationsPerTurn: number = 2 * lanes * chains * unroll;

const op = {
  loop: 0x03,
  branchIf: 0x0d,
  end: 0x0b,
  empty: 0x40,
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  constI32: 0x41,
  constF32: 0x43,
  subI32: 0x6b,
  addF32: 0x92,
  v128: 0x7b,
  i32: 0x7f,
  f32: 0x7d,
} as const;

/** Codes behind the SIMD prefix. */
const simd = { splatF32: 0x13, extractF32: 0x1f, addF32: 0xe4, mulF32: 0xe6 } as const;

/** Unsigned LEB128. */
function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)];
}

const vector = (code: number): number[] => [0xfd, ...leb(code)];
const f32 = (value: number): number[] => [op.constF32, ...new Uint8Array(Float32Array.of(value).buffer)];
const section = (id: number, content: readonly number[]): number[] => [id, ...leb(content.length), ...content];
const sized = (content: readonly number[]): number[] => [...leb(content.length), ...content];

/**
 * A module of one function, run(turns: i32) -> f32: every chain goes x = x a + b, `unroll` times a turn; the sum of all chains is returned, so that none can be left out.
 * Locals: 0 the turns left, 1..chains the chains, then a and b.
 */
export function multiplyAddModule(): Uint8Array<ArrayBuffer> {
  const type = section(1, [1, 0x60, 1, op.i32, 1, op.f32]);
  const functions = section(3, [1, 0]);
  const exports = section(7, [1, ...sized([...new TextEncoder().encode('run')]), 0, 0]);
  const code = section(10, [1, ...sized(body())]);
  return Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...type, ...functions, ...exports, ...code]);
}

function body(): number[] {
  const all = Array.from({ length: chains }, (_, i) => i + 1);
  const [a, b] = [chains + 1, chains + 2];
  const splat = (local: number, value: number): number[] => [...f32(value), ...vector(simd.splatF32), op.set, local];
  const step = (x: number): number[] => [
    op.get,
    x,
    op.get,
    a,
    ...vector(simd.mulF32),
    op.get,
    b,
    ...vector(simd.addF32),
    op.set,
    x,
  ];
  const turn = Array.from({ length: unroll }, () => all.flatMap(step)).flat();
  const countDown = [op.get, 0, op.constI32, 1, op.subI32, op.tee, 0, op.branchIf, 0];
  const sums = all.flatMap((x) => [op.get, x, ...vector(simd.extractF32), 0, ...(x > 1 ? [op.addF32] : [])]);
  return [
    1,
    chains + 2,
    op.v128,
    ...all.flatMap((x) => splat(x, x / chains)),
    ...splat(a, 0.999),
    ...splat(b, 0.001),
    op.loop,
    op.empty,
    ...turn,
    ...countDown,
    op.end,
    ...sums,
    op.end,
  ];
}
