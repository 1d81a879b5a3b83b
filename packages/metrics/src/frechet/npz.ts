import { unzipSync, zipSync } from 'fflate';
import { MetricError } from '../picture.ts';
import type { Statistics } from './statistics.ts';

/** A float array as NumPy stores it. */
interface NumpyArray {
  readonly shape: readonly number[];
  readonly values: Float64Array;
}

const magic = '\x93NUMPY';

/** Statistics of a .npz file of pytorch-fid: arrays `mu` [D] and `sigma` [D, D], packed or not. @throws MetricError saying what is wrong. */
export function readStatistics(bytes: Uint8Array): Statistics {
  const files = unzipped(bytes);
  const [mu, sigma] = ['mu', 'sigma'].map((name) => {
    const file = files[`${name}.npy`];
    if (!file) throw fault(`must hold the arrays mu and sigma, got ${Object.keys(files).join(', ') || 'nothing'}`);
    return readArray(name, file);
  }) as [NumpyArray, NumpyArray];
  const D = mu.values.length;
  if (mu.shape.length !== 1 || String(sigma.shape) !== String([D, D]))
    throw fault(`must hold mu [D] and sigma [D, D], got [${mu.shape}] and [${sigma.shape}]`);
  return { mean: mu.values, covariance: sigma.values };
}

/** The .npz file of statistics, as pytorch-fid writes and reads it. */
export function writeStatistics({ mean, covariance }: Statistics): Uint8Array {
  const D = mean.length;
  return zipSync({ 'mu.npy': arrayBytes(mean, `(${D},)`), 'sigma.npy': arrayBytes(covariance, `(${D}, ${D})`) });
}

const fault = (message: string): MetricError =>
  new MetricError('readStatistics', `file ${message}. Write it with \`python -m pytorch_fid --save-stats\`.`);

function unzipped(bytes: Uint8Array): Record<string, Uint8Array> {
  try {
    return unzipSync(bytes);
  } catch (cause) {
    throw fault(`must be a .npz archive, got ${bytes.length} bytes that are none (${(cause as Error).message})`);
  }
}

/** Header: magic, version, length of a Python dictionary, the dictionary; then the values. */
function readArray(name: string, file: Uint8Array): NumpyArray {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const known = file.length > 12 && String.fromCharCode(...file.subarray(0, 6)) === magic;
  if (!known) throw fault(`must hold ${name} as a NumPy array, got ${file.length} other bytes`);
  const wide = view.getUint8(6) > 1;
  const start = (wide ? 12 : 10) + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder('latin1').decode(file.subarray(wide ? 12 : 10, start));
  const type = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? '')
    .split(',')
    .filter((side) => side.trim())
    .map(Number);
  const count = shape.reduce((product, side) => product * side, 1);
  const bytes = type === '<f8' ? 8 : type === '<f4' ? 4 : 0;
  if (!bytes || !Number.isSafeInteger(count) || file.length - start !== count * bytes)
    throw fault(`must hold ${name} as float64 or float32, got ${type} [${shape}] in ${file.length - start} bytes`);
  const read = bytes === 8 ? (at: number) => view.getFloat64(at, true) : (at: number) => view.getFloat32(at, true);
  return { shape, values: Float64Array.from({ length: count }, (_, i) => read(start + i * bytes)) };
}

/** A NumPy file of version 1.0, its header filled up to a multiple of 64 bytes. */
function arrayBytes(values: Float64Array, shape: string): Uint8Array {
  const header = `{'descr': '<f8', 'fortran_order': False, 'shape': ${shape}, }`;
  const start = Math.ceil((header.length + 11) / 64) * 64;
  const bytes = new Uint8Array(start + values.byteLength);
  const text = `${magic}\x01\x00${'\0\0'}${header.padEnd(start - 11)}\n`;
  bytes.set(Uint8Array.from(text, (character) => character.charCodeAt(0)));
  const view = new DataView(bytes.buffer);
  view.setUint16(8, start - 10, true);
  values.forEach((value, i) => view.setFloat64(start + 8 * i, value, true));
  return bytes;
}
