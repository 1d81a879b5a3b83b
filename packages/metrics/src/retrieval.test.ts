import { testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Picture } from './picture.ts';
import { type NamedPicture, retrieval } from './retrieval.ts';
import { change, flat, noise, paint } from './testing/pictures.ts';

beforeAll(async () => void (await testDevice()));

const named = (key: string, picture: Picture): NamedPicture => ({ key, picture });
const gallery = Array.from({ length: 300 }, (_, i) => named(`noise ${i}`, noise(9, 7, i)));
const blurred = (picture: Picture): Picture => change(picture, (i) => ((i * 13) % 41) - 20);

/** Rank by the definition, without any product: how many other pictures are as near or nearer. */
function rankByDefinition(sample: NamedPicture, all: readonly NamedPicture[]): number {
  const distance = ({ picture }: NamedPicture): number =>
    picture.data.reduce((sum, byte, i) => sum + ((byte - sample.picture.data[i]!) / 255) ** 2, 0);
  const own = distance(all.find(({ key }) => key === sample.key)!);
  return 1 + all.filter((other) => other.key !== sample.key && distance(other) <= own).length;
}

describe('retrieval', () => {
  it('finds the picture behind each disturbed copy, over several chunks', async () => {
    async function* samples(): AsyncGenerator<NamedPicture> {
      for (const { key, picture } of gallery.slice(3, 280)) yield named(key, blurred(picture));
    }
    const report = await retrieval({ samples: samples(), gallery });
    expect(report).toMatchObject({ samples: 277, pictures: 300, top1: 1, top5: 1 });
  });

  it('ranks wrong and middling samples as the definition does', async () => {
    const samples = [
      named('noise 5', gallery[6]!.picture),
      named('noise 7', noise(9, 7, 1000)),
      named(
        'noise 8',
        change(gallery[8]!.picture, (i) => (i % 2 ? 120 : -120)),
      ),
    ];
    const report = await retrieval({ samples, gallery });
    expect(report.ranks.map(({ rank }) => rank)).toEqual(samples.map((sample) => rankByDefinition(sample, gallery)));
    expect(report.ranks[0]).toMatchObject({ nearest: 'noise 6' });
    expect(report.top1).toBeLessThan(1);
  });

  it('counts equal pictures as one, whatever their keys', async () => {
    const twins = [named('cat', flat(3, 3, 50)), named('kitten', flat(3, 3, 50)), named('dog', flat(3, 3, 90))];
    const { pictures, ranks } = await retrieval({
      samples: [named('kitten', flat(3, 3, 60)), named('dog', flat(3, 3, 55))],
      gallery: twins,
    });
    expect(pictures).toBe(2);
    expect(ranks).toEqual([
      { key: 'kitten', rank: 1, nearest: 'kitten' },
      { key: 'dog', rank: 2, nearest: 'cat' },
    ]);
  });

  it('takes any picture of a key that has several', async () => {
    const many = [named('cat', flat(3, 3, 0)), named('cat', flat(3, 3, 200)), named('dog', flat(3, 3, 90))];
    const { top1 } = await retrieval({ samples: [named('cat', flat(3, 3, 190))], gallery: many });
    expect(top1).toBe(1);
  });

  it('counts a picture that is just as near against the sample', async () => {
    const pair = [named('dark', flat(3, 3, 40)), named('light', flat(3, 3, 60))];
    const { top1, top5 } = await retrieval({ samples: [named('dark', flat(3, 3, 50))], gallery: pair });
    expect([top1, top5]).toEqual([0, 1]);
  });

  it('forgives a shift by one pixel where boxes are compared', async () => {
    const stripes = (phase: number): Picture => paint(8, 8, (x, y) => ((x + phase) % 2 ? 200 : y < 4 ? 0 : 40));
    const choice = [named('stripes', stripes(0)), named('grey', flat(8, 8, 100))];
    const samples = [named('stripes', stripes(1))];
    expect((await retrieval({ samples, gallery: choice })).top1).toBe(0);
    expect((await retrieval({ samples, gallery: choice }, { side: 2 })).top1).toBe(1);
  });

  it('refuses unknown keys, several sizes, and a side that does not divide', async () => {
    await expect(retrieval({ samples: [named('owl', flat(9, 7, 0))], gallery })).rejects.toThrow(
      'retrieval: samples must have a picture in the gallery, got none for owl. Add it.',
    );
    await expect(retrieval({ samples: [named('noise 1', flat(7, 9, 0))], gallery })).rejects.toThrow(
      'retrieval: pictures must have one size, got 9x7, 7x9. Resize them.',
    );
    await expect(retrieval({ samples: [], gallery }, { side: 3 })).rejects.toThrow(
      "retrieval: side must divide the pictures' 9x7, got 3. Choose a divisor.",
    );
  });
});
