import { crc32 } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { inspectPicture } from './decode.ts';
import { noisePng, plainPng, type Color } from './testing/pictures.ts';
import { toPixels, toPlanes, toPng, toSquare } from './transform.ts';

const firstPixel = async (bytes: Uint8Array): Promise<number[]> => [...(await toSquare(bytes, 3)).subarray(0, 3)];
const plain = (color: Color): Sharp =>
  sharp({ create: { width: 5, height: 7, channels: 3, background: { r: color[0], g: color[1], b: color[2] } } });
const clear = (alpha: number): Sharp =>
  sharp({ create: { width: 5, height: 7, channels: 4, background: { r: 255, g: 0, b: 0, alpha } } });

describe('toSquare', () => {
  it.each([
    ['RGB', plain([10, 20, 30]), [10, 20, 30]],
    ['grayscale', plain([90, 90, 90]).toColourspace('b-w'), [90, 90, 90]],
    ['16-bit RGB', plain([255, 128, 0]).toColourspace('rgb16'), [255, 128, 0]],
    ['16-bit grayscale', plain([90, 90, 90]).toColourspace('grey16'), [90, 90, 90]],
    ['a transparent picture, shown on white,', clear(0), [255, 255, 255]],
    ['a half-transparent picture, shown on white,', clear(0.5), [255, 127, 127]],
  ])('%s becomes 8-bit RGB', async (_name, picture, expected) => {
    const pixels = await toSquare(await picture.png().toBuffer(), 3);
    expect(pixels).toHaveLength(27);
    // A conversion between colour spaces and depths may round to the neighbouring level.
    for (const [i, value] of expected.entries()) expect(Math.abs((pixels[i] as number) - value)).toBeLessThanOrEqual(1);
  });

  it('keeps the whole picture: a wide one is squeezed, not cropped', async () => {
    const left = await plainPng(8, 4, [255, 0, 0]);
    const wide = await sharp(await plainPng(16, 4, [0, 0, 255]))
      .composite([{ input: left, left: 0, top: 0 }])
      .png()
      .toBuffer();
    const pixels = await toSquare(wide, 4);
    expect([...pixels.subarray(0, 3)]).toEqual([255, 0, 0]);
    expect([...pixels.subarray(9, 12)]).toEqual([0, 0, 255]);
  });

  it('a picture of that size already is unchanged', async () => {
    const bytes = await noisePng(7, 7, 1);
    expect([...(await toSquare(bytes, 7))]).toEqual([...(await sharp(bytes).raw().toBuffer())]);
  });

  it('one pixel fills the square', async () => {
    expect(await firstPixel(await plainPng(1, 1, [1, 2, 3]))).toEqual([1, 2, 3]);
  });
});

describe('toPixels', () => {
  it('gives the bytes of a picture at its own size', async () => {
    const bytes = await noisePng(7, 5, 1);
    const { width, height, data } = await toPixels(bytes);
    expect([width, height]).toEqual([7, 5]);
    expect([...data]).toEqual([...(await sharp(bytes).raw().toBuffer())]);
  });

  it('shows a transparent picture on white, and a turned one upright', async () => {
    const { data } = await toPixels(await clear(0).png().toBuffer());
    expect([...data]).toEqual(new Array<number>(5 * 7 * 3).fill(255));
    const turned = await toPixels(await plain([9, 9, 9]).withMetadata({ orientation: 6 }).jpeg().toBuffer());
    expect([turned.width, turned.height]).toEqual([7, 5]);
  });
});

describe('inspectPicture', () => {
  it('an EXIF rotation counts: a tall picture on its side is wide', async () => {
    const bytes = await plain([9, 9, 9]).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    expect(await inspectPicture(bytes)).toEqual({ width: 7, height: 5, mime: 'image/jpeg' });
  });

  it('a JPEG cut at 90% of its bytes is broken', async () => {
    const bytes = await sharp(await noisePng(65, 33, 1))
      .jpeg()
      .toBuffer();
    await expect(inspectPicture(bytes.subarray(0, Math.floor(bytes.length * 0.9)))).rejects.toThrow(
      'its JPEG data is damaged or cut short',
    );
  });

  it('a picture of more pixels than memory should hold is refused before it is decoded', async () => {
    const header = await plainPng(1, 1, [0, 0, 0]);
    header.writeUInt32BE(20000, 16);
    header.writeUInt32BE(20000, 20);
    header.writeUInt32BE(crc32(header.subarray(12, 29)), 29);
    await expect(inspectPicture(header)).rejects.toThrow('20000 x 20000 are more than 268402689 pixels');
  });

  it.each([
    ['no bytes', '', 'the file is empty'],
    ['a text', 'hello', 'no picture format that is known'],
  ])('%s are refused', async (_name, content, reason) => {
    await expect(inspectPicture(Buffer.from(content))).rejects.toThrow(reason);
  });

  it('a PNG with one wrong byte is broken', async () => {
    const bytes = await noisePng(65, 33, 1);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 0xff;
    await expect(inspectPicture(bytes)).rejects.toThrow('its PNG data is damaged or cut short');
  });
});

it('toPlanes turns interleaved bytes into planes from -1 to 1', () => {
  const target = new Float32Array(7).fill(9);
  toPlanes(new Uint8Array([0, 255, 51, 255, 0, 204]), target, 1);
  expect([...target]).toEqual([9, -1, 1, 1, -1, Math.fround(-0.6), Math.fround(0.6)]);
});

it('toPng writes the picture upright and on white', async () => {
  const bytes = await clear(0).withMetadata({ orientation: 6 }).png().toBuffer();
  const written = await sharp(await toPng(bytes, { format: 'png' })).metadata();
  expect(written).toMatchObject({ format: 'png', width: 7, height: 5, channels: 3 });
  expect(await sharp(await toPng(bytes, { format: 'png', size: 3 })).metadata()).toMatchObject({ width: 3, height: 3 });
});
