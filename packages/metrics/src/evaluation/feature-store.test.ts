import { appendFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FeatureStore } from './feature-store.ts';

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'features-'))));
afterAll(() => rm(folder, { recursive: true }));

const origin = { identity: 'network a, pictures b', width: 3 };

describe('FeatureStore', () => {
  it('goes on where it stopped, without a torn last row', async () => {
    const path = join(folder, 'deep', 'torn.f32');
    const first = await FeatureStore.open(path, origin);
    await first.add(Float32Array.of(1, 2, 3));
    await first.add(Float32Array.of(4, 5, 6));
    await first.close();
    await appendFile(path, Uint8Array.of(9, 9, 9, 9, 9));
    const second = await FeatureStore.open(path, origin);
    expect(second.count).toBe(2);
    await second.add(new Float32Array([0, 7, 8, 9]).subarray(1));
    expect((await second.all()).map((row) => [...row])).toEqual([
      [1, 2, 3],
      [4, 5, 6],
      [7, 8, 9],
    ]);
    await second.close();
    expect((await stat(path)).size).toBe(36);
  });

  it('begins anew for another network or other pictures', async () => {
    const path = join(folder, 'other.f32');
    const first = await FeatureStore.open(path, origin);
    await first.add(Float32Array.of(1, 2, 3));
    await first.close();
    const second = await FeatureStore.open(path, { ...origin, identity: 'network c' });
    expect([second.count, await second.all()]).toEqual([0, []]);
    await second.close();
    expect(JSON.parse(await readFile(`${path}.json`, 'utf8'))).toEqual({ identity: 'network c', width: 3 });
  });

  it('refuses rows of another width', async () => {
    const store = await FeatureStore.open(join(folder, 'width.f32'), origin);
    await expect(store.add(Float32Array.of(1))).rejects.toThrow('FeatureStore: features must number 3, got 1.');
    await store.close();
  });
});
