import { type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import { type StarConfig, starConfig } from '../config.ts';

/** A file of published numbers. */
export const golden = (file: string): URL => new URL(`../../test/golden/${file}`, import.meta.url);

/** The transformer that the published numbers are of. */
export const referenceConfig: StarConfig = starConfig({
  patchNumbers: [1, 2, 4, 8],
  depth: 3,
  width: 128,
  heads: 2,
  textWidth: 32,
  codeWidth: 8,
  codebookSize: 64,
  dropPath: 0,
});

/** A mask of B rows of T with the given numbers of real tokens. */
export const maskOf = (lengths: readonly number[], T = 7): Tensor =>
  tensor(
    lengths.flatMap((length) => Array.from({ length: T }, (_, t) => Number(t < length))),
    [lengths.length, T],
    { dtype: 'u32' },
  );
