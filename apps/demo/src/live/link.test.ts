import { describe, expect, it } from 'vitest';
import { type Link, linkFromQuery, queryOfLink, recipesOf } from './link.ts';

const defaults = { guidance: 1, temperature: 0.3, topK: 600, topP: 0.8, smooth: false, refine: true };
const order = { prompt: 'red apple', seed: 42, ...defaults };

const plain: Link = { order, seeds: [42], retouches: [] };
const several: Link = {
  order: {
    prompt: '红苹果 & 50% 🍎?#',
    seed: 2 ** 53 - 1,
    guidance: 7.5,
    temperature: 1.25,
    topK: 0,
    topP: 1,
    smooth: true,
    refine: false,
  },
  seeds: [2 ** 53 - 1, 0, 7],
  retouches: [],
  model: 'my & model',
};
const retouched: Link = {
  ...plain,
  retouches: [
    { order: { ...order, prompt: 'lemon & leaf', seed: 3 }, mask: 'gAEB_-' },
    { order: { ...order, prompt: '', seed: 0, guidance: 2 }, mask: 'AQ' },
    { order: { ...order, seed: 9 }, keepScales: 3 },
  ],
};

describe('a shared link', () => {
  it.each([plain, several, retouched])('gives back what it was made of: %j', (link) => {
    expect(linkFromQuery(queryOfLink(link, defaults), defaults)).toEqual(link);
  });

  it('falls back to defaults where values are missing or out of range', () => {
    expect(linkFromQuery('', defaults)).toEqual(plain);
    const wrong = '?prompt=pear&seed=-1&seed=x&guidance=abc&temperature=0&top-k=99999&top-p=2&smooth=yes';
    expect(linkFromQuery(wrong, defaults)).toEqual({ ...plain, order: { ...order, prompt: 'pear' } });
    expect(linkFromQuery('?seed=&guidance=&temperature=', defaults)).toEqual(plain);
  });

  it('takes what it leaves out from the defaults of the model that reads it', () => {
    const other = { ...defaults, smooth: true, guidance: 4 };
    expect(linkFromQuery('?smooth=0', other).order).toEqual({ ...order, guidance: 4, smooth: false });
  });

  it('makes a picture a seed', () => {
    expect(recipesOf(several).map(({ order: { seed } }) => seed)).toEqual(several.seeds);
  });
});
