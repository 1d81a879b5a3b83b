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
} from '@star-webgpu/metrics';
import { encodePicture, fromPictures, pictureAt, type Pipeline, toPictures } from '@star-webgpu/sampler';
import { noGrad, scope } from '@star-webgpu/tensor-webgpu';
import { imageSide } from '@star-webgpu/vqvae';
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

/** Each picture of a source beside what the VQVAE makes of it. */
export function reconstructionPairs(pipeline: Pipeline, { pictures, label }: PictureSource): Pairs {
  const side = imageSide(pipeline.vqvae.config);
  async function* all(): AsyncGenerator<Pair> {
    for (const picture of pictures) {
      const want = await squared(await picture.read(), side);
      const images_BHW3 = scope(() => noGrad(() => pipeline.vqvae.reconstruct(fromPictures({ count: 1, ...want }))));
      const made = await toPictures(images_BHW3);
      images_BHW3.dispose();
      yield [pictureAt(made, 0), want];
    }
  }
  return {
    all,
    count: pictures.length,
    protocol: `what the VQVAE makes of ${pictures.length} pictures of ${label}, against them, ${side} px`,
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

/** How the tokens of a source's pictures use the codebook. */
export async function codebookRows(pipeline: Pipeline, { pictures, label }: PictureSource): Promise<MetricRow[]> {
  const { vqvae } = pipeline;
  const side = imageSide(vqvae.config);
  async function* tokens(): AsyncGenerator<ArrayLike<number>[]> {
    for (const picture of pictures) {
      const image = await squared(await picture.read(), side);
      const indices_1L = encodePicture(vqvae, { count: 1, ...image });
      yield [await indices_1L.data()];
      indices_1L.dispose();
    }
  }
  const { codebookSize } = vqvae.config;
  const { overall } = await codebookUsage(tokens(), { codebookSize });
  const protocol = `of ${codebookSize} codes, ${overall.tokens} tokens of ${pictures.length} pictures of ${label}`;
  return [
    { id: 'codes', name: 'Codes in use', value: overall.used, better: 'higher', protocol },
    { id: 'perplexity', name: 'Codebook perplexity', value: overall.perplexity, better: 'higher', protocol },
  ];
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
