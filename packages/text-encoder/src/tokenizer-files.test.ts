import { readFile } from 'node:fs/promises';
import { loadGoldenJson } from '@star-webgpu/tensor-webgpu/testing';
import { describe, expect, it } from 'vitest';
import { type ReadFile, readText } from '@star-webgpu/tensor-webgpu';
import { readTokenizerFiles } from './tokenizer-files.ts';
import { Tokenizer } from './tokenizer.ts';

const folder = (name: string): URL => new URL(`../test/golden/${name}/`, import.meta.url);
const readIn =
  (name: string): ReadFile =>
  (file) =>
    readFile(new URL(file, folder(name)));
const idsOf = (name: string): Promise<[prompt: string, ids: number[]][]> =>
  loadGoldenJson(new URL('ids.json', folder(name)));

const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

/** A reader of a folder with some files replaced; undefined takes one away. */
const changed =
  (read: ReadFile, files: Readonly<Record<string, unknown>>): ReadFile =>
  async (file) => {
    if (!(file in files)) return read(file);
    if (files[file] === undefined) throw new Error(`no ${file}`);
    return bytes(files[file]);
  };

describe("a folder of CLIP's tokenizer", () => {
  const read = readIn('clip-tokenizer');

  it('gives the ids that Hugging Face gives, from vocab.json and merges.txt', async () => {
    const tokenizer = new Tokenizer(await readTokenizerFiles(read));
    const golden = await idsOf('clip-tokenizer');
    expect(golden.length).toBeGreaterThan(30);
    expect(golden.map(([prompt]) => [prompt, tokenizer.encode(prompt)])).toEqual(golden);
  });

  it('gives the same ids from tokenizer.json', async () => {
    const json = await readTokenizerFiles(read);
    const asOne = changed(read, { 'tokenizer.json': json, 'vocab.json': undefined, 'merges.txt': undefined });
    const [pieces, one] = [new Tokenizer(json), new Tokenizer(await readTokenizerFiles(asOne))];
    const prompts = (await idsOf('clip-tokenizer')).map(([prompt]) => prompt);
    expect(one.encodeBatch(prompts, 20)).toEqual(pieces.encodeBatch(prompts, 20));
  });

  it("pads with the map's token, as Stable Diffusion 2.1 does, which is that token inside prompts too", async () => {
    const tokenizer = new Tokenizer(await readTokenizerFiles(read));
    const { '!': exclamation } = JSON.parse(await readText(await read('vocab.json'))) as Record<string, number>;
    const { ids, mask } = tokenizer.encodeBatch(['a!'], 6);
    expect(tokenizer.padId).toBe(exclamation);
    expect([...ids].slice(2)).toEqual([exclamation, tokenizer.endId, exclamation, exclamation]);
    expect([...mask]).toEqual([1, 1, 1, 1, 0, 0]);
  });

  it('pads as tokenizer_config.json says where there is no map, and with the end token where nothing is said', async () => {
    const without = changed(read, { 'special_tokens_map.json': undefined });
    expect(new Tokenizer(await readTokenizerFiles(without)).padId).toBe(899);
    const named = changed(without, { 'tokenizer_config.json': { pad_token: { content: 'a' } } });
    expect(new Tokenizer(await readTokenizerFiles(named)).padId).toBe(97);
    const bare = new Tokenizer(await readTokenizerFiles(changed(without, { 'tokenizer_config.json': undefined })));
    expect(bare.padId).toBe(bare.endId);
  });

  it('refuses a folder without a tokenizer, without its merges, or with broken files', async () => {
    const reading = (files: Record<string, unknown>): Promise<unknown> => readTokenizerFiles(changed(read, files));
    await expect(reading({ 'vocab.json': undefined })).rejects.toThrow(
      'loadTextEncoder: folder must hold tokenizer.json, or vocab.json and merges.txt, got neither. Point at the folder of a tokenizer.',
    );
    await expect(reading({ 'merges.txt': undefined })).rejects.toThrow(
      'loadTextEncoder: folder must hold merges.txt beside vocab.json, got none. Fetch both files of the tokenizer.',
    );
    await expect(reading({ 'vocab.json': { a: 'b' } })).rejects.toThrow(
      'loadTextEncoder: vocab.json must give each token an id, got "b" for "a". Fetch it again.',
    );
    await expect(reading({ 'vocab.json': { a: 0, b: 1 } })).rejects.toThrow(
      'clipPipeline: vocab must hold <|startoftext|>, got 2 tokens without it. Use the vocab.json of a CLIP tokenizer.',
    );
    await expect(reading({ 'special_tokens_map.json': '[' })).rejects.toThrow(
      'loadTextEncoder: special_tokens_map.json must hold a JSON object, got "[". Fetch it again.',
    );
  });
});

describe("a folder of T5's tokenizer", () => {
  const read = readIn('t5-tokenizer');

  it('gives the ids that Hugging Face gives, joiners, controls and ligatures too', async () => {
    const tokenizer = new Tokenizer(await readTokenizerFiles(read));
    const golden = await idsOf('t5-tokenizer');
    expect(golden.length).toBeGreaterThan(25);
    expect(golden.map(([prompt]) => [prompt, tokenizer.encode(prompt)])).toEqual(golden);
  });

  it('ends every prompt, also the empty one, and pads with <pad>, with or without tokenizer_config.json', async () => {
    for (const files of [{}, { 'tokenizer_config.json': undefined }]) {
      const tokenizer = new Tokenizer(await readTokenizerFiles(changed(read, files)));
      const { ids, mask } = tokenizer.encodeBatch(['', 'red'], 5);
      expect([...ids.subarray(0, 5)]).toEqual([1, 0, 0, 0, 0]);
      expect([...mask.subarray(0, 5)]).toEqual([1, 0, 0, 0, 0]);
      expect(ids[mask.lastIndexOf(1)]).toBe(1);
    }
  });

  it('takes 100,000 characters, and what was cleaned away does not count', async () => {
    const tokenizer = new Tokenizer(await readTokenizerFiles(read), { clean: (prompt) => prompt.replace(/x+/g, '') });
    const { truncated, cut } = tokenizer.encodeBatch(['red apple '.repeat(10_000), `${'x'.repeat(9000)} red`], 8);
    expect(truncated).toEqual([true, false]);
    expect(cut[0]!.endsWith('red apple ')).toBe(true);
    expect(cut[0]!.length).toBeGreaterThan(99_900);
    expect(cut[1]).toBe('');
  });
});
