import { hashedValues, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { frechetDistance } from '../frechet/frechet.ts';
import { statisticsOf } from '../frechet/statistics.ts';
import { publishedInceptionConfig } from '../inception/config.ts';
import { rowsOf } from '../testing/rows.ts';
import { measureInception } from './measure.ts';

beforeAll(async () => void (await testDevice()));

const features = rowsOf(hashedValues('a', 30 * 8), 8);
const others = rowsOf(hashedValues('b', 40 * 8, 1.2), 8);
const base = { network: publishedInceptionConfig, layer: 2048 };

describe('measureInception', () => {
  it('gives every metric with its protocol', async () => {
    const given = { ...base, samples: { features }, references: { features: others }, logits: features };
    const rows = await measureInception(given, ['fid', 'kid', 'is', 'pr']);
    expect(rows.map(({ id }) => id)).toEqual(['fid', 'kid', 'is', 'precision', 'recall']);
    expect(rows[0]).toEqual({
      id: 'fid',
      name: 'FID',
      value: frechetDistance(statisticsOf(features), statisticsOf(others)),
      better: 'lower',
      protocol:
        'pytorch-fid Inception-v3, 299 px bilinear without antialiasing, pool 2048, float64 statistics, 30 samples against 40 references',
    });
    expect(rows[1]!.protocol).toContain('whole sets, 30 samples against 40 references');
    expect(rows[2]!.protocol).toContain('1008 classes without bias, 10 splits in order, 30 samples');
  });

  it('measures against statistics alone what they allow, and one picture not at all', async () => {
    const references = { statistics: statisticsOf(others) };
    const rows = await measureInception({ ...base, samples: { features }, references }, ['fid', 'kid', 'is', 'pr']);
    expect(rows.map(({ id }) => id)).toEqual(['fid']);
    expect(rows[0]!.protocol).toContain('30 samples against unknown references');
    const one = { ...base, samples: { features: features.slice(0, 1) }, references: { features: others } };
    expect(await measureInception(one, ['fid', 'kid', 'pr'])).toEqual([]);
  });

  it('says of a small network that its numbers compare with no others', async () => {
    const network = { ...publishedInceptionConfig, channelDivisor: 8, side: 75 };
    const [row] = await measureInception({ samples: { features }, logits: features, network, layer: 2048 }, ['is']);
    expect(row!.protocol).toContain('channels / 8: not comparable with published numbers, 75 px');
  });
});
