import { defineKernel, type Kernel } from './define-kernel.ts';

interface NearestRowSpec extends Readonly<Record<string, number | string | boolean>> {
  /** Lanes of the subgroup that shares a tile of rows; 0 for the plain kernel. */
  readonly lanes: number;
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const parts = ['x', 'y', 'z', 'w'] as const;
const far = '3.4e38';

/** Rows that one workgroup owns. */
export const nearestRowTile = ({ lanes }: NearestRowSpec): number => (lanes ? 2 * lanes : 32);

/** The lowest index of the smallest distance among the lanes of a subgroup. */
function foldLanes(lanes: number, row: number): string {
  const steps = [];
  for (let offset = 1; offset < lanes; offset *= 2)
    steps.push(`{ let d = subgroupShuffleXor(best${row}, ${offset}u); let at = subgroupShuffleXor(at${row}, ${offset}u);
    let nearer = d < best${row} || (d == best${row} && at < at${row});
    best${row} = select(best${row}, d, nearer); at${row} = select(at${row}, at, nearer); }`);
  return `${steps.join('\n  ')}
  if (lane == ${row % lanes}u && row0 + ${row}u < u.R) { indices[row0 + ${row}u] = at${row}; }`;
}

/** Distances of the tile's rows to four codes a lane; rows of z are shared by shuffles. */
function sharedBody({ lanes }: NearestRowSpec): string {
  const rows = range(2 * lanes);
  const each = (statement: (r: number) => string, separator = '\n    '): string => rows.map(statement).join(separator);
  return `
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let row0 = group.x * ${rows.length}u;
  ${each((r) => `var best${r} = ${far}; var at${r} = 0u;`, ' ')}
  ${range(2)
    .map((g) => `let z${g} = min(row0 + ${g * lanes}u + lane, u.R - 1u) * u.vectors;`)
    .join(' ')}
  for (var first = 0u; first < u.V; first += ${4 * lanes}u) {
    let code = first + lane * 4u;
    ${parts.map((_, j) => `let e${j} = min(code + ${j}u, u.V - 1u) * u.vectors;`).join(' ')}
    var norm = vec4<f32>(0.0);
    ${each((r) => `var c${r} = vec4<f32>(0.0);`, ' ')}
    for (var k = 0u; k < u.vectors; k++) {
      ${parts.map((_, j) => `let t${j} = codebook[e${j} + k];`).join(' ')}
      ${parts.map((part, j) => `let b${j} = vec4<f32>(t0.${part}, t1.${part}, t2.${part}, t3.${part});`).join(' ')}
      norm += b0 * b0 + b1 * b1 + b2 * b2 + b3 * b3;
      let a0 = z[z0 + k]; let a1 = z[z1 + k];
      ${each((r) => `{ let s = subgroupShuffle(a${Math.floor(r / lanes)}, ${r % lanes}u); c${r} += s.x * b0 + s.y * b1 + s.z * b2 + s.w * b3; }`, '\n      ')}
    }
    let live = vec4<u32>(code, code + 1u, code + 2u, code + 3u) < vec4<u32>(u.V);
    ${each((r) => `{ let d = select(vec4<f32>(${far}), norm - 2.0 * c${r}, live); ${parts.map((part, j) => `if (d.${part} < best${r}) { best${r} = d.${part}; at${r} = code + ${j}u; }`).join(' ')} }`)}
  }
  ${rows.map((r) => foldLanes(lanes, r)).join('\n  ')}
}`;
}

const plainBody = `
@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.x;
  if (row >= u.R) { return; }
  var best = ${far}; var at = 0u;
  for (var code = 0u; code < u.V; code++) {
    var norm = 0.0; var product = 0.0;
    for (var k = 0u; k < u.vectors; k++) {
      let e = codebook[code * u.vectors + k];
      norm += dot(e, e); product += dot(e, z[row * u.vectors + k]);
    }
    let d = norm - 2.0 * product;
    if (d < best) { best = d; at = code; }
  }
  indices[row] = at;
}`;

/**
 * indices[r] = argmin_v |z[r] - codebook[v]|^2 = argmin_v |codebook[v]|^2 - 2 z[r] codebook[v], the lowest v on a tie.
 * z: [R, C], codebook: [V, C], C a multiple of 4.  One subgroup owns 2 lanes rows and walks all codes; no R x V matrix exists.
 */
export const nearestRowKernel: Kernel<NearestRowSpec> = defineKernel<NearestRowSpec>({
  name: 'nearest-row',
  bindings: { z: 'read vec4<f32>', codebook: 'read vec4<f32>', indices: 'write u32' },
  uniforms: { R: 'u32', V: 'u32', vectors: 'u32' },
  enables: ({ lanes }) => (lanes ? ['subgroups'] : []),
  code: (spec) => (spec.lanes ? sharedBody(spec) : plainBody),
  examples: [{ lanes: 8 }, { lanes: 4 }, { lanes: 0 }],
});
