import { storeFunction } from './epilogue.ts';
import { blockLoaders } from './operands.ts';
import { type GemmSpec, lanesOf, prologue, range } from './spec.ts';

/** Rows and columns that one workgroup of the plain kernel computes. */
export const plainTile = { rows: 32, columns: 32 } as const;

/** Four rows by four columns an invocation, straight from memory: nothing is shared. */
export const plainCode = (spec: GemmSpec): string => `${blockLoaders(spec)}
${storeFunction(spec, 4, true)}
@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let row = group.y * ${plainTile.rows}u + local.y * 4u;
  let column = group.x * ${plainTile.columns}u + local.x * 4u;
  ${prologue(spec)}
  ${range(4)
    .map((r) => `var c${r} = vec4<f32>(0.0);`)
    .join(' ')}
  for (var k = k0; k < k1; k += 4u) {
    let a = block_a(row, k, base_a); let b = block_b(column, k, base_b);
    ${range(4)
      .map(
        (r) =>
          `c${r} += ${range(4)
            .map((j) => `a[${j}].${lanesOf[r]} * b[${j}]`)
            .join(' + ')};`,
      )
      .join('\n    ')}
  }
  ${range(4)
    .map((r) => `store(row + ${r}u, column, base_c, c${r});`)
    .join('\n  ')}
}`;
