import { isTorchMap, torchAt, type TorchValue } from '@star-webgpu/tensor-webgpu/torch';

const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((side) => Number.isInteger(side));

/** Patch numbers that a checkpoint's config lists. */
export function listedPatchNumbers(value: TorchValue | undefined): readonly number[] | undefined {
  const config = torchAt(value, 'trainer', 'config') ?? torchAt(value, 'config');
  const listed = isTorchMap(config) ? config.get('patch_nums') : undefined;
  return isNumbers(listed) ? listed : undefined;
}
