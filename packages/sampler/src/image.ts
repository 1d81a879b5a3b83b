import { add, clamp, contiguous, mul, permute, scope, type Tensor, tensor } from '@star-webgpu/tensor-webgpu';

/** Finished pictures on the host, ready for a PNG encoder or a canvas. */
export interface Pictures {
  /** B: how many. */
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** RGB bytes, [B, H, W, 3] row-major. */
  readonly data: Uint8Array;
}

/** Pixels from [-1, 1] to bytes, rounded to the nearest. images: [B, H, W, 3]. */
export async function toPictures(images_BHW3: Tensor): Promise<Pictures> {
  const [count, height, width] = images_BHW3.shape as [number, number, number, number];
  const bytes = scope(() => contiguous(add(mul(clamp(images_BHW3, -1, 1), 127.5), 128)));
  try {
    return { count, height, width, data: Uint8Array.from(await bytes.data()) };
  } finally {
    bytes.dispose();
  }
}

/** Pictures on the device as a VQVAE reads them, in [-1, 1]. -> [B, 3, H, W]. */
export function fromPictures({ count, height, width, data }: Pictures): Tensor {
  const pixels = Float32Array.from(data, (value) => value / 127.5 - 1);
  return permute(tensor(pixels, [count, height, width, 3]), [0, 3, 1, 2]);
}

/** One picture of several, as RGB bytes [H, W, 3]. */
export function pictureAt({ count, height, width, data }: Pictures, index: number): Pictures {
  if (!Number.isInteger(index) || index < 0 || index >= count)
    throw new RangeError(`pictureAt: index must lie in 0..${count - 1}, got ${index}.`);
  const size = height * width * 3;
  return { count: 1, height, width, data: data.subarray(index * size, (index + 1) * size) };
}
