import { describe, expect, it } from 'vitest';
import { decodeMask, encodeMask, markedShare, paintBox, paintLine } from './mask.ts';

const size = { width: 7, height: 5 };
const empty = (): Uint8Array<ArrayBuffer> => new Uint8Array(35);
const rows = (mask: Uint8Array): string[] =>
  Array.from({ length: 5 }, (_, y) => mask.subarray(7 * y, 7 * y + 7).join(''));

describe('a mask', () => {
  it('is painted along a line, and rubbed out', () => {
    const mask = empty();
    paintLine(
      mask,
      size,
      [
        { x: 1, y: 2.5 },
        { x: 6, y: 2.5 },
      ],
      { radius: 1, value: 1 },
    );
    expect(rows(mask)).toEqual(['0000000', '0111110', '1111111', '0111110', '0000000']);
    paintLine(
      mask,
      size,
      [
        { x: 3.5, y: 2.5 },
        { x: 3.5, y: 2.5 },
      ],
      { radius: 0.5, value: 0 },
    );
    expect(rows(mask)[2]).toBe('1110111');
    expect(markedShare(mask)).toBeCloseTo(16 / 35);
  });

  it('leaves pixels outside of the picture alone', () => {
    const mask = empty();
    paintLine(
      mask,
      size,
      [
        { x: -40, y: -40 },
        { x: -3, y: 90 },
      ],
      { radius: 2, value: 1 },
    );
    expect(markedShare(mask)).toBe(0);
  });

  it('is marked by halves', () => {
    const mask = empty();
    paintBox(mask, size, { left: 0, top: 0.5, right: 1, bottom: 1 });
    expect(rows(mask)).toEqual(['0000000', '0000000', '0000000', '1111111', '1111111']);
  });

  it.each([
    ['empty', empty()],
    ['full', empty().fill(1)],
    ['of single pixels', empty().map((_, i) => Number(i % 3 === 0))],
    ['of long runs', new Uint8Array(1024 * 1024).fill(1, 300_000, 900_001)],
  ])('comes back from a link when it is %s', (_, mask) => {
    const text = encodeMask(mask);
    expect(text).toMatch(/^[\w-]*$/);
    const again = decodeMask(text, { width: mask.length, height: 1 });
    expect(Buffer.compare(again, mask)).toBe(0);
  });

  it.each(['', '***', 'AAAA', encodeMask(new Uint8Array(36))])('marks nothing where a link holds %j', (text) => {
    expect(decodeMask(text, size)).toEqual(empty());
  });
});
