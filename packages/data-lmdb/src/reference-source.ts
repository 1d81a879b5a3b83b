import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { asFields, captionsIn, parseFields } from './captions.ts';
import { codeOf, messageOf, PackError } from './errors.ts';
import { type FileRange, isPicture, listFiles, readRange, stemOf } from './files.ts';
import { readFormat1 } from './lmdb-format1.ts';
import { unpickle } from './pickle.ts';
import type { PackSource, Refusal, SourceEntry } from './source.ts';

/** Files beside a reference pack: what is known of each key, and captions that go before those. */
const RECORDS = '-info.json';
const PROMPTS = '-prompt.json';
/** Keys that are no pictures: the list of keys, and functions that nobody here calls. They are stored as they are, not pickled. */
const RESERVED: ReadonlySet<string> = new Set([
  '__keys__',
  '__key_dumps__',
  '__key_loads__',
  '__value_dumps__',
  '__value_loads__',
]);

type Records = Readonly<Record<string, unknown>>;

/**
 * The folder that the reference packs from: pictures in `images/`, and in `jsons/` one record a picture, which names it by `basename`
 * or has its name. Keys are the names of the pictures without their ending.
 */
export async function referenceFolderSource(folder: string): Promise<PackSource> {
  const pictures = new Set((await listFiles(join(folder, 'images'))).filter(isPicture));
  const byStem = new Map([...pictures].map((picture) => [stemOf(picture), picture]));
  const entries: SourceEntry[] = [];
  const refused: Refusal[] = [];
  for (const name of (await listFiles(join(folder, 'jsons'))).filter((file) => file.endsWith('.json'))) {
    try {
      const fields = parseFields(await readFile(join(folder, 'jsons', name), 'utf8'));
      const named = fields['basename'];
      const picture = typeof named === 'string' ? named : byStem.get(stemOf(name));
      if (picture === undefined || !pictures.delete(picture)) throw new Error(`no picture ${picture ?? stemOf(name)}`);
      entries.push({
        key: stemOf(picture),
        file: `images/${picture}`,
        captions: captionsIn(fields),
        captionFault: `no caption in jsons/${name}`,
        read: () => readFile(join(folder, 'images', picture)),
      });
    } catch (error) {
      refused.push({ file: `jsons/${name}`, reason: messageOf(error) });
    }
  }
  const orphans = [...pictures].map((picture) => ({ file: `images/${picture}`, reason: 'no record in jsons/' }));
  return { origin: folder, entries, refused: [...refused, ...orphans] };
}

/**
 * A file that the reference's packer made: LMDB of data format 1 with pickled keys and pictures, `<file>-info.json` with the records
 * by key, and optionally `<file>-prompt.json` with captions that go before theirs. Keys stay as they are.
 */
export async function referencePackSource(path: string): Promise<PackSource> {
  const records = await readRecords(path + RECORDS);
  const prompts = await readPrompts(path + PROMPTS);
  const refused: Refusal[] = [];
  const places = await placesOf(path, refused);
  const entries = Object.entries(records).flatMap(([key, record]): SourceEntry[] => {
    const place = places.get(key);
    places.delete(key);
    if (place !== undefined) return [packedEntry({ path, key, place }, captionsOf(prompts[key] ?? record))];
    refused.push({ file: `${path}#${key}`, reason: 'no such key in the file' });
    return [];
  });
  const unknown = [...places.keys()].map((key) => ({
    file: `${path}#${key}`,
    reason: `no record in ${basename(path)}${RECORDS}`,
  }));
  return { origin: path, entries, refused: [...refused, ...unknown] };
}

/** Whether a file is a reference pack among the files of its folder. */
export const isReferencePack = (file: string, files: ReadonlySet<string>): boolean => files.has(file + RECORDS);

function packedEntry(
  { path, key, place }: { path: string; key: string; place: FileRange },
  captions: readonly string[],
): SourceEntry {
  const read = async (): Promise<Uint8Array> => {
    const value = unpickle(await readRange(path, place));
    if (typeof value === 'string') throw new Error('a text instead of a picture');
    return value;
  };
  return { key, file: `${path}#${key}`, captions, captionFault: `no caption in ${basename(path)}${RECORDS}`, read };
}

/** Where the pickled picture of each key lies. */
async function placesOf(path: string, refused: Refusal[]): Promise<Map<string, FileRange>> {
  const places = new Map<string, FileRange>();
  for (const { key, value } of await readFormat1(path)) {
    const raw = Buffer.from(key).toString('latin1');
    if (RESERVED.has(raw)) continue;
    try {
      places.set(String(unpickle(key)), value);
    } catch (error) {
      refused.push({ file: `${path}#${raw}`, reason: `broken key: ${messageOf(error)}` });
    }
  }
  return places;
}

/** Captions of a record; none of what is no record. */
function captionsOf(record: unknown): string[] {
  try {
    return captionsIn(asFields(record));
  } catch {
    return [];
  }
}

async function readRecords(path: string): Promise<Records> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw new PackError(
      'missing',
      `pack: a reference pack must have its records beside it, got none at ${path}. Copy the file there.`,
      { path },
    );
  });
  return parseRecords(path, text);
}

async function readPrompts(path: string): Promise<Records> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    return '{}';
  });
  return parseRecords(path, text);
}

function parseRecords(path: string, text: string): Records {
  try {
    return parseFields(text);
  } catch (error) {
    throw new PackError(
      'format',
      `pack: records must be a JSON object by key, got something that is ${messageOf(error)} in ${path}. Correct the file.`,
      { path },
    );
  }
}
