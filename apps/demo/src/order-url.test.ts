import { describe, expect, it } from 'vitest';
import { defaultOrder, orderFromQuery, queryOfOrder } from './order-url.ts';

describe('a shared link', () => {
  it.each([
    defaultOrder,
    { prompt: '', seed: 0, guidance: 0, topK: 0, topP: 0, smooth: true },
    { prompt: '红苹果 & 50% 🍎?#', seed: 2 ** 53 - 1, guidance: 7.5, topK: 12, topP: 1, smooth: false },
  ])('gives back the order it was made of: %j', (order) => {
    expect(orderFromQuery(queryOfOrder(order))).toEqual(order);
  });

  it('falls back to defaults where values are missing or out of range', () => {
    expect(orderFromQuery('')).toEqual(defaultOrder);
    expect(orderFromQuery('?prompt=pear&seed=-1&guidance=abc&top-k=99999&top-p=2&smooth=yes')).toEqual({
      ...defaultOrder,
      prompt: 'pear',
    });
    expect(orderFromQuery('?seed=&guidance=')).toEqual(defaultOrder);
  });
});
