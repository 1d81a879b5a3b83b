import type { Row } from '../harness/row.ts';
import { attentionRow } from './attention.ts';
import { convRow } from './conv.ts';
import { matmulHalfRow, matmulRow } from './matmul.ts';
import { mlpRow } from './mlp.ts';

/** The rows of tensor-webgpu, in the order in which they are printed; a new one is a file beside this and a line here. */
export const tensorRows: readonly Row[] = [
  matmulRow(512),
  matmulRow(1024),
  matmulHalfRow(512),
  matmulHalfRow(1024),
  mlpRow,
  convRow(false),
  convRow(true),
  attentionRow(false),
  attentionRow(true),
];
