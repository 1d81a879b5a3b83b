import { hashedValues } from '@star-webgpu/tensor-webgpu/testing';
import { strToU8, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { rowsOf } from '../testing/rows.ts';
import { readStatistics, writeStatistics } from './npz.ts';
import { statisticsOf } from './statistics.ts';

/** What `np.savez(f, mu=np.arange(2.), sigma=np.eye(2, dtype='f4'))` writes: one float64, one float32 array, stored without packing. */
const array = (type: string, shape: string, values: readonly number[]): Uint8Array => {
  const header = `{'descr': '${type}', 'fortran_order': False, 'shape': ${shape}, }`.padEnd(117);
  const bytes = type === '<f8' ? 8 : 4;
  const data = new DataView(new ArrayBuffer(values.length * bytes));
  values.forEach((value, i) =>
    bytes === 8 ? data.setFloat64(i * 8, value, true) : data.setFloat32(i * 4, value, true),
  );
  return Uint8Array.from([
    0x93,
    ...strToU8('NUMPY'),
    1,
    0,
    118,
    0,
    ...strToU8(`${header}\n`),
    ...new Uint8Array(data.buffer),
  ]);
};
const npz = (files: Record<string, Uint8Array>, level: 0 | 6 = 0): Uint8Array => zipSync(files, { level });

describe('statistics files', () => {
  it('are read back as they were written', () => {
    const statistics = statisticsOf(rowsOf(hashedValues('npz', 12 * 5), 5));
    expect(readStatistics(writeStatistics(statistics))).toEqual(statistics);
  });

  it.each([0, 6] as const)('are read as NumPy writes them, packed at level %d', (level) => {
    const file = npz(
      { 'mu.npy': array('<f8', '(2,)', [0, 1]), 'sigma.npy': array('<f4', '(2, 2)', [1, 0, 0, 1]) },
      level,
    );
    expect(readStatistics(file)).toEqual({ mean: Float64Array.of(0, 1), covariance: Float64Array.of(1, 0, 0, 1) });
  });

  it.each([
    ['must be a .npz archive, got 3 bytes that are none (invalid zip data)', Uint8Array.of(1, 2, 3)],
    ['must hold the arrays mu and sigma, got x.npy', npz({ 'x.npy': array('<f8', '(1,)', [0]) })],
    [
      'must hold mu as a NumPy array, got 4 other bytes',
      npz({ 'mu.npy': strToU8('text'), 'sigma.npy': strToU8('text') }),
    ],
    [
      'must hold mu as float64 or float32, got <i8 [2] in 8 bytes',
      npz({ 'mu.npy': array('<i8', '(2,)', [0, 1]), 'sigma.npy': array('<f8', '(1, 1)', [1]) }),
    ],
    [
      'must hold mu as float64 or float32, got <f8 [3] in 16 bytes',
      npz({ 'mu.npy': array('<f8', '(3,)', [0, 1]), 'sigma.npy': array('<f8', '(1, 1)', [1]) }),
    ],
    [
      'must hold mu [D] and sigma [D, D], got [2] and [4]',
      npz({ 'mu.npy': array('<f8', '(2,)', [0, 1]), 'sigma.npy': array('<f8', '(4,)', [1, 0, 0, 1]) }),
    ],
  ])('are refused: %s', (message, file) => {
    expect(() => readStatistics(file)).toThrow(
      `readStatistics: file ${message}. Write it with \`python -m pytorch_fid --save-stats\`.`,
    );
  });
});
