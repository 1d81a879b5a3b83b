import { describe, expect, it } from 'vitest';
import { loadGoldenJson } from './golden.ts';
import { hashedValues } from './hashed.ts';

describe('hashed values', () => {
  it('equal the published cases', async () => {
    const { cases } = await loadGoldenJson<{ cases: { name: string; count: number; values: number[] }[] }>(
      new URL('../../test/golden/hash.json', import.meta.url),
    );
    expect(cases.length).toBe(3);
    for (const { name, count, values } of cases) expect([...hashedValues(name, count)]).toEqual(values);
  });
});
