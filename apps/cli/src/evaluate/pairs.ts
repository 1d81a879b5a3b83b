import {
  codebookUsage,
  lpips,
  type Lpips,
  measureReconstruction,
  type MetricRow,
  type NamedPicture,
  type Picture,
  retrieval,
  type RetrievalReport,
  type Usage,
} from '@star-webgpu/metrics';
import { encodePicture, fromPictures, pictureAt, type Pipeline, toPictures } from '@star-webgpu/sampler';
import { noGrad, scope } from '@star-webgpu/tensor-webgpu';
import { imageSide, tokenOffsets, type Vqvae } from '@star-webgpu/vqvae';
import { resizedPicture } from '../pictures.ts';
import type { PictureSource } from './sources.ts';

/** A picture and what it should look like. */
type Pair = readonly [got: Picture, want: Picture];

/** Pairs, and how they came about. */
export interface Pairs {
  readonly all: () => AsyncGenerator<Pair>;
  readonly count: number;
  readonly protocol: string;
}

/** A picture resized to a square, as training sees it. */
const squared = (picture: Picture, side: number): Promise<Picture> =>
  resizedPicture(picture, { width: side, height: side });

/** What the VQVAE makes of a picture of its own size. */
async function reconstructed(vqvae: Vqvae, picture: Picture): Promise<Picture> {
  const images_BHW3 = scope(() => noGrad(() => vqvae.reconstruct(fromPictures({ count: 1, ...picture }))));
  const made = await toPictures(images_BHW3);
  images_BHW3.dispose();
  return pictureAt(made, 0);
}

/** Each picture of a source beside what the VQVAE makes of it, at the VQVAE's size or resized to another. */
export function reconstructionPairs(
  { vqvae }: Pick<Pipeline, 'vqvae'>,
  { pictures, label }: PictureSource,
  compared?: number,
): Pairs {
  const own = imageSide(vqvae.config);
  const side = compared ?? own;
  async function* all(): AsyncGenerator<Pair> {
    for (const picture of pictures) {
      const read = await picture.read();
      const got = await reconstructed(vqvae, await squared(read, own));
      yield [await squared(got, side), await squared(read, side)];
    }
  }
  const made = side === own ? '' : `, made at ${own} px`;
  return {
    all,
    count: pictures.length,
    protocol: `what the VQVAE makes of ${pictures.length} pictures of ${label}, against them, ${side} px${made}`,
  };
}

/** Samples beside the references of the same name. @throws Error naming samples without a reference. */
export function namedPairs(samples: PictureSource, references: PictureSource): Pairs {
  const byKey = new Map(references.pictures.map((picture) => [picture.key, picture]));
  const lonely = samples.pictures.filter(({ key }) => !byKey.has(key)).map(({ key }) => key);
  if (lonely.length)
    throw new Error(
      `evaluate: pairs need a reference of the same name for every sample, got none for ${lonely.length} of ${samples.pictures.length}: ${lonely.slice(0, 5).join(', ')}. Rename them, or ask for other metrics.`,
    );
  async function* all(): AsyncGenerator<Pair> {
    for (const sample of samples.pictures) yield [await sample.read(), await byKey.get(sample.key)!.read()];
  }
  return {
    all,
    count: samples.pictures.length,
    protocol: `${samples.pictures.length} pairs of the same name, ${samples.label} against ${references.label}`,
  };
}

/** PSNR and SSIM of pairs. */
export async function reconstructionRows({ all, protocol }: Pairs, wanted: ReadonlySet<string>): Promise<MetricRow[]> {
  const found = await measureReconstruction(all());
  const rows: MetricRow[] = [
    {
      id: 'psnr',
      name: 'PSNR',
      value: found.psnr,
      better: 'higher',
      protocol: `dB, mean over pictures of ${protocol}, RGB bytes`,
    },
    {
      id: 'ssim',
      name: 'SSIM',
      value: found.ssim,
      better: 'higher',
      protocol: `11x11 Gaussian windows inside the picture, mean of channels, of ${protocol}`,
    },
  ];
  return rows.filter(({ id }) => wanted.has(id));
}

/** Mean LPIPS of pairs. */
export async function lpipsRows({ all, protocol, count }: Pairs, model: Lpips): Promise<MetricRow[]> {
  let sum = 0;
  for await (const distance of lpips(model, all())) sum += distance;
  const { network, channelDivisor } = model.config;
  const small = channelDivisor === 1 ? '' : `, channels / ${channelDivisor}: not comparable with published numbers`;
  return [
    {
      id: 'lpips',
      name: 'LPIPS',
      value: sum / count,
      better: 'lower',
      protocol: `${network} version 0.1${small}, mean of ${protocol}`,
    },
  ];
}

/** Tokens of each picture, scale by scale. */
async function* pictureTokens(vqvae: Vqvae, { pictures }: PictureSource): AsyncGenerator<ArrayLike<number>[]> {
  const side = imageSide(vqvae.config);
  const offsets = tokenOffsets(vqvae.config.patchNumbers);
  for (const picture of pictures) {
    const image = await squared(await picture.read(), side);
    const indices_1L = encodePicture(vqvae, { count: 1, ...image });
    const tokens = await indices_1L.data();
    indices_1L.dispose();
    yield offsets.slice(1).map((end, scale) => tokens.subarray(offsets[scale], end));
  }
}

/** How the tokens of a source's pictures use the codebook; of each scale too, where asked. */
export async function codebookRows(
  { vqvae }: Pick<Pipeline, 'vqvae'>,
  source: PictureSource,
  { eachScale = false }: { readonly eachScale?: boolean } = {},
): Promise<MetricRow[]> {
  const { codebookSize } = vqvae.config;
  const { overall, scales } = await codebookUsage(pictureTokens(vqvae, source), { codebookSize });
  const rowsOf = (usage: Usage, id: string, name: string): MetricRow[] => {
    const protocol = `of ${codebookSize} codes, ${usage.tokens} tokens of ${source.pictures.length} pictures of ${source.label}`;
    return [
      { id: `codes${id}`, name: `Codes in use${name}`, value: usage.used, better: 'higher', protocol },
      {
        id: `perplexity${id}`,
        name: `Codebook perplexity${name}`,
        value: usage.perplexity,
        better: 'higher',
        protocol,
      },
    ];
  };
  const each = eachScale ? scales.flatMap((usage, s) => rowsOf(usage, `/${s + 1}`, `, scale ${s + 1}`)) : [];
  return [...rowsOf(overall, '', ''), ...each];
}

/** How often a sample is nearest to the picture whose caption it was drawn for. */
export async function retrievalRows(
  samples: PictureSource,
  references: PictureSource,
): Promise<{ rows: MetricRow[]; found: RetrievalReport }> {
  const drawn = await namedPictures(samples);
  const side = drawn[0]!.picture.width;
  const gallery = await namedPictures(references);
  const same = await Promise.all(
    gallery.map(async ({ key, picture }) => ({ key, picture: await squared(picture, side) })),
  );
  const found = await retrieval({ samples: drawn, gallery: same });
  const protocol = `share of ${found.samples} samples whose own picture is nearest of ${found.pictures} of ${references.label}, squared error of pixels, ${side} px`;
  const rows: MetricRow[] = [
    { id: 'top1', name: 'Retrieval, top 1', value: found.top1, better: 'higher', protocol },
    {
      id: 'top5',
      name: 'Retrieval, top 5',
      value: found.top5,
      better: 'higher',
      protocol: protocol.replace('nearest', 'among the five nearest'),
    },
  ];
  return { rows, found };
}

const namedPictures = ({ pictures }: PictureSource): Promise<NamedPicture[]> =>
  Promise.all(pictures.map(async ({ key, read }) => ({ key, picture: await read() })));
