import { scope, tensor } from '@star-webgpu/tensor-webgpu';
import { inBatches } from '../batches.ts';
import { checkPicture, type Picture, type Stream } from '../picture.ts';
import type { Inception, InceptionFeatures, InceptionTap } from './inception.ts';

/** What `inceptionFeatures` takes of a network, and how. */
export interface ExtractOptions<T extends InceptionTap> {
  readonly taps: readonly T[];
  /** Pictures that run together; as many live on the device. */
  readonly batch?: number;
}

/** Features of one picture by tap. */
export type PictureFeatures<T extends InceptionTap = InceptionTap> = Readonly<Record<T, Float32Array>>;

/**
 * Features of pictures of any size, one after the other: bytes / 255, resized bilinearly without antialiasing, as pytorch-fid does.
 * @throws MetricError if a picture's bytes do not fill it.
 */
export async function* inceptionFeatures<T extends InceptionTap>(
  model: Inception,
  pictures: Stream<Picture>,
  { taps, batch = 8 }: ExtractOptions<T>,
): AsyncGenerator<PictureFeatures<T>> {
  for await (const several of inBatches(pictures, batch)) {
    const found = scope(() => model.forward(upload(several, model.config.side), taps));
    const values = await Promise.all(taps.map((tap) => found[tap]!.data()));
    disposeAll(found);
    for (let i = 0; i < several.length; i++) yield oneOf(taps, values, { i, count: several.length });
  }
}

function upload(pictures: readonly Picture[], side: number): ReturnType<typeof tensor> {
  const each = side * side * 3;
  const values = new Float32Array(pictures.length * each);
  pictures.forEach((picture, i) => resizeInto(values.subarray(i * each, (i + 1) * each), picture, side));
  return tensor(values, [pictures.length, side, side, 3]);
}

function oneOf<T extends InceptionTap>(
  taps: readonly T[],
  values: readonly Float32Array[],
  { i, count }: { readonly i: number; readonly count: number },
): PictureFeatures<T> {
  const rows = taps.map((tap, k): [T, Float32Array] => {
    const width = values[k]!.length / count;
    return [tap, values[k]!.slice(i * width, (i + 1) * width)];
  });
  return Object.fromEntries(rows) as Record<T, Float32Array>;
}

function disposeAll(features: InceptionFeatures): void {
  for (const value of Object.values(features)) value.dispose();
}

/** Where a resized pixel reads: two neighbours, and the share of the second. */
interface Sample {
  readonly first: number;
  readonly second: number;
  readonly share: number;
}

/** Half-pixel centres, clamped to the picture. */
const samplesOf = (from: number, to: number): Sample[] =>
  Array.from({ length: to }, (_, i) => {
    const centre = Math.max(0, ((i + 0.5) * from) / to - 0.5);
    const first = Math.min(from - 1, Math.floor(centre));
    return { first, second: Math.min(from - 1, first + 1), share: centre - first };
  });

/** Writes a picture, resized to side x side and in 0..1, row-major [side, side, 3]. On the host: a picture is small as bytes, and costs more as floats to bring over than to resize. */
function resizeInto(target: Float32Array, picture: Picture, side: number): void {
  checkPicture('inceptionFeatures', picture);
  const { width, height, data } = picture;
  const columns = samplesOf(width, side);
  samplesOf(height, side).forEach(({ first, second, share }, row) => {
    const [top, bottom] = [first * width * 3, second * width * 3];
    columns.forEach((column, j) => {
      for (let channel = 0; channel < 3; channel++) {
        const [left, right] = [column.first * 3 + channel, column.second * 3 + channel];
        const above = data[top + left]! * (1 - column.share) + data[top + right]! * column.share;
        const below = data[bottom + left]! * (1 - column.share) + data[bottom + right]! * column.share;
        target[(row * side + j) * 3 + channel] = (above * (1 - share) + below * share) / 255;
      }
    });
  });
}
