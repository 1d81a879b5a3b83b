import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FileParts, torchParts, writtenHole, WrittenOrdered, writtenTensor } from '../testing/torch-writer.ts';
import { hostFloats, hostTensor } from './host-tensor.ts';
import { fileSource, folderFiles } from './node.ts';
import { readBytes } from './source.ts';
import { readStored } from './stored-tensor.ts';
import { openTorch, tensorsIn } from './torch/index.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-source-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Writes a file whose holes take no space. */
async function writeSparse(path: string, { size, parts }: FileParts): Promise<void> {
  const file = await open(path, 'w');
  for (const { at, bytes } of parts) await file.write(bytes, 0, bytes.byteLength, at);
  await file.truncate(size);
  await file.close();
}

describe('files as sources', () => {
  it('reads any range, and nothing beyond the end', async () => {
    await writeFile(join(folder, 'small'), Uint8Array.of(1, 2, 3, 4));
    const file = await folderFiles(folder)('small');
    expect([...(await readBytes(file))]).toEqual([1, 2, 3, 4]);
    const source = await fileSource(join(folder, 'small'));
    expect([...(await source.read(1, 2))]).toEqual([2, 3]);
    await expect(source.read(3, 2)).rejects.toThrow(
      'source: bytes 3..5 must lie inside the file of 4. It is truncated; fetch it again.',
    );
  });

  it('says so where a file shrinks while it is read', async () => {
    const path = join(folder, 'shrinking');
    await writeFile(path, new Uint8Array(10));
    const source = await fileSource(path);
    await truncate(path, 5);
    await expect(source.read(0, 10)).rejects.toThrow('must keep its 10 bytes while it is read, got an end at 5.');
  });

  it('reads single tensors of a checkpoint of 7 GB, beyond the places of 32 bits', async () => {
    const path = join(folder, 'large.pth');
    const large = Array.from({ length: 7 }, (_, i) => [`large.${i}`, writtenHole('F32', [1000, 250_000])] as const);
    const last = writtenTensor(hostTensor(Float32Array.of(1, 2, 3), [3]));
    await writeSparse(path, torchParts(new WrittenOrdered([...large, ['last', last]])));
    const source = await fileSource(path);
    expect(source.size).toBeGreaterThan(7e9);
    const tensors = tensorsIn((await openTorch(source)).value);
    expect(tensors.size).toBe(8);
    expect([...hostFloats(await readStored(tensors.get('last')!))]).toEqual([1, 2, 3]);
    let zeros = 0;
    for await (const piece of tensors.get('large.6')!.pieces()) zeros += piece.byteLength;
    expect(zeros).toBe(1e9);
  });
});
