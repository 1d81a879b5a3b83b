import { hashedValues, loadGoldenJson } from '@star-webgpu/tensor-webgpu/testing';
import { expect, it } from 'vitest';
import { goldenFile } from '../testing/golden-file.ts';
import { flat } from '../testing/pictures.ts';
import { clipPixelsInto, cropped } from './preprocess.ts';

interface Golden {
  readonly cases: readonly {
    readonly width: number;
    readonly height: number;
    readonly size: number;
    readonly bytes: string;
  }[];
}

it('resizes and crops as Pillow does, byte for byte', async () => {
  const { cases } = await loadGoldenJson<Golden>(goldenFile('clip_preprocess.json'));
  for (const { width, height, size, bytes } of cases) {
    const values = hashedValues(`clip/${width}x${height}`, width * height * 3);
    const data = Uint8Array.from(values, (value) => Math.floor((value + 1) * 128));
    const got = cropped({ width, height, data }, size);
    expect([got.width, got.height]).toEqual([size, size]);
    expect(Buffer.from(got.data).toString('hex'), `${width}x${height} to ${size}`).toBe(bytes);
  }
});

it("normalises by CLIP's means and deviations", () => {
  const target = new Float32Array(3);
  clipPixelsInto(target, flat(5, 9, 255), 1);
  [(1 - 0.48145466) / 0.26862954, (1 - 0.4578275) / 0.26130258, (1 - 0.40821073) / 0.27577711].forEach((wanted, i) =>
    expect(target[i]).toBeCloseTo(wanted, 6),
  );
});
