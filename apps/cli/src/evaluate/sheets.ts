import type { ContactSheet } from '@star-webgpu/metrics';
import { gridPng } from '../pictures.ts';
import type { PictureSource, SourcePicture } from './sources.ts';

/** Pictures of a sheet, and its columns. */
const most = 64;
const columns = 8;
/** Longer side of a picture on the sheet, in pixels. */
const shown = 112;

/** Pictures spread evenly over a source, so that every category has its share. */
function spread(pictures: readonly SourcePicture[]): SourcePicture[] {
  const count = Math.min(most, pictures.length);
  return Array.from({ length: count }, (_, i) => pictures[Math.floor((i * pictures.length) / count)]!);
}

/** A sheet of the samples, and one of their references in the same order where each sample has one. */
export async function contactSheets(
  samples: PictureSource,
  references: PictureSource | undefined,
): Promise<ContactSheet[]> {
  const chosen = spread(samples.pictures);
  const byKey = new Map((references?.pictures ?? []).map((picture) => [picture.key, picture]));
  const own = chosen.flatMap(({ key }) => byKey.get(key) ?? []);
  const of = `${chosen.length} of ${samples.pictures.length}`;
  return [
    await sheet(chosen, `Samples: ${of}, evenly spread, in order`),
    ...(own.length === chosen.length ? [await sheet(own, 'Their references, in the same order')] : []),
  ];
}

async function sheet(pictures: readonly SourcePicture[], title: string): Promise<ContactSheet> {
  const tiles = await Promise.all(pictures.map(async ({ read }) => ({ count: 1, ...(await read()) })));
  const grid = await gridPng(tiles, { columns: Math.min(columns, tiles.length), gap: 4, longest: shown });
  return { title, ...grid };
}
