import { noGrad, record } from '../autograd/record.ts';
import { check } from '../errors.ts';
import { gatherRowsKernel, scatterAddKernel } from '../kernels/embedding.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { elementsOwned } from '../kernels/storage.ts';
import { empty, type Tensor } from '../tensor.ts';
import { add } from './elementwise.ts';
import { launch, storageOf } from './launch.ts';
import { rowRuns, rowsPart, type Run } from './parts.ts';
import { contiguous, reshape } from './view.ts';

/** Rows of a table by index. table: [V, C], indices: u32 [...] below V -> [..., C]. */
export function embedding(table: Tensor, indices: Tensor): Tensor {
  check(
    'embedding',
    table.rank === 2 && indices.dtype === 'u32',
    () => `table must be [V, C] and indices u32, got [${table.shape}] and ${indices.dtype}.`,
  );
  const [V, C] = table.shape as [number, number];
  const rows = contiguous(indices);
  const packed = contiguous(table);
  // Rows that a part of the table does not hold come as zeros, so that parts add up.
  const y = noGrad(() =>
    rowRuns('embedding', V, [packed])
      .map((run) => gatherRows(packed, rows, run))
      .reduce((sum, found) => add(sum, found)),
  );
  return record('embedding', y, [table], (dy) => [
    scatterAdd(reshape(dy, [rows.size, C]), reshape(rows, [rows.size]), V),
  ]);
}

/** The rows that a part of the table holds, zeros for others. */
function gatherRows(table: Tensor, indices: Tensor, run: Run): Tensor {
  const [V, C] = table.shape as [number, number];
  const y = empty([...indices.shape, C], table.dtype, table.storage.device);
  const type = storageOf(table);
  const held = rowsPart(table, V, run);
  for (const rows of rowRuns('embedding', indices.size, [indices, y])) {
    const found = rowsPart(y, indices.size, rows);
    launch(gatherRowsKernel, {
      spec: { type },
      tensors: { table: held, indices: rowsPart(indices, indices.size, rows), y: found },
      uniforms: { count: found.size, width: C, rows: V, first: run[0], held: run[1] - run[0] },
      grid: foldGrid(Math.ceil(found.size / elementsOwned(type) / 256)),
    });
  }
  return y;
}

/** Sums rows by index, in a fixed order. x: [R, C], indices: u32 [R] -> [count, C]. */
export function scatterAdd(x: Tensor, indices: Tensor, count: number): Tensor {
  const [R, C] = x.shape as [number, number];
  check(
    'scatterAdd',
    x.rank === 2 && indices.size === R && indices.dtype === 'u32',
    () => `x must be [R, C] and indices u32 [R], got [${x.shape}] and ${indices.dtype} [${indices.shape}].`,
  );
  const rows = contiguous(indices);
  const y = empty([count, C], x.dtype, x.storage.device);
  const type = storageOf(x);
  const columns: 1 | 4 = C % 4 === 0 ? 4 : 1;
  const owned = columns === 4 ? 4 : elementsOwned(type);
  launch(scatterAddKernel, {
    spec: { type, columns },
    tensors: { x: contiguous(x), indices: rows, y },
    uniforms: { count: y.size / columns, width: C / columns, rows: R },
    grid: foldGrid(Math.ceil(y.size / owned / 64)),
  });
  return record('scatterAdd', y, [x], (dy) => [embedding(dy, rows)]);
}
