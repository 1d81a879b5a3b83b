import type { Picture } from '../picture.ts';

/** A picture whose bytes are computed from their place. */
export function paint(
  width: number,
  height: number,
  byteAt: (x: number, y: number, channel: number) => number,
): Picture {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const pixel = Math.floor(i / 3);
    return byteAt(pixel % width, Math.floor(pixel / width), i % 3);
  });
  return { width, height, data };
}

export const flat = (width: number, height: number, byte: number): Picture => paint(width, height, () => byte);

/** Unrelated bytes, the same ones for the same seed. */
export const noise = (width: number, height: number, seed: number): Picture =>
  paint(width, height, (x, y, channel) => {
    const word =
      Math.imul(x + 1, 0x9e3779b1) ^ Math.imul(y + 1, 0x85ebca6b) ^ Math.imul(4 * seed + channel + 1, 0xc2b2ae35);
    return (Math.imul(word ^ (word >>> 15), 0x2c1b3c6d) >>> 20) & 0xff;
  });

/** Moves every byte of a picture by a function of its place, within 0..255. */
export const change = ({ width, height, data }: Picture, by: (i: number) => number): Picture => ({
  width,
  height,
  data: data.map((byte, i) => Math.min(255, Math.max(0, byte + by(i)))),
});
