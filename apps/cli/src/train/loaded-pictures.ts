import type { Batch } from '@star-webgpu/data-lmdb';
import { type Pictures, toPictures } from '@star-webgpu/sampler';
import { permute, scope, tensor } from '@star-webgpu/tensor-webgpu';

/** The pictures of a batch as bytes. */
export async function picturesOf({ images, shape }: Pick<Batch, 'images' | 'shape'>): Promise<Pictures> {
  const images_BHW3 = scope(() => permute(tensor(images, shape), [0, 2, 3, 1]));
  try {
    return await toPictures(images_BHW3);
  } finally {
    images_BHW3.dispose();
  }
}
