import { openPack, type Pack } from '@star-webgpu/data-lmdb';

/** Opens packs, hands them over, and closes them whatever comes of it. */
export async function withPacks<Result>(
  paths: readonly string[],
  work: (packs: readonly Pack[]) => Result | Promise<Result>,
): Promise<Result> {
  const packs: Pack[] = [];
  try {
    for (const path of paths) packs.push(await openPack(path));
    return await work(packs);
  } finally {
    for (const pack of packs) await pack.close();
  }
}
