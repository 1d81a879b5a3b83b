import { readFile } from 'node:fs/promises';
import { dirname, extname, isAbsolute, join } from 'node:path';
import { captionsIn, parseFields, parseSidecar } from './captions.ts';
import { messageOf } from './errors.ts';
import { explainMissing, isPicture, listFiles, stemOf, toPosix } from './files.ts';
import type { PackSource, Refusal, SourceEntry } from './source.ts';

const PICTURE_FIELDS = ['image', 'file', 'file_name', 'path'];

/**
 * All pictures below a folder. The captions of `a.png` stand in `a.txt` (one a line) or `a.json` (caption, captions,
 * prompt, text, or the caption fields of the reference's data sets). Keys are paths without their ending.
 */
export async function folderSource(folder: string): Promise<PackSource> {
  const files = await listFiles(folder);
  const present = new Set(files);
  const pictures = files.filter(isPicture);
  const stems = new Set(pictures.map(stemOf));
  const entries: SourceEntry[] = [];
  for (const file of pictures) entries.push(await folderEntry(folder, file, present));
  const orphans = files.filter((file) => ['.txt', '.json'].includes(extname(file)) && !stems.has(stemOf(file)));
  return { origin: folder, entries, refused: orphans.map((file) => ({ file, reason: 'no picture of this name' })) };
}

/**
 * A file of JSON lines, each with a picture (image, file, file_name or path, relative to the file), its captions
 * (as in a sidecar) and optionally its key.
 */
export async function jsonlSource(path: string): Promise<PackSource> {
  return gather(path, await readLines(path), (line) => {
    const fields = parseFields(line);
    const picture = PICTURE_FIELDS.map((name) => fields[name]).find((value) => typeof value === 'string');
    if (picture === undefined) throw new Error(`no picture named: give one of ${PICTURE_FIELDS.join(', ')}`);
    const key = fields['key'];
    return { picture, captions: captionsIn(fields), ...(typeof key === 'string' ? { key } : {}) };
  });
}

/** A file of tab-separated lines: a picture (relative to the file) and one caption or more. A head line is left out. */
export async function tsvSource(path: string): Promise<PackSource> {
  const lines = await readLines(path);
  const head = lines[0]?.text.split('\t')[0]?.trim().toLowerCase() ?? '';
  const rows = PICTURE_FIELDS.includes(head) ? lines.slice(1) : lines;
  return gather(path, rows, (line) => {
    const [picture = '', ...captions] = line.split('\t');
    return { picture: picture.trim(), captions };
  });
}

interface Line {
  text: string;
  number: number;
}

interface Row {
  picture: string;
  captions: readonly string[];
  key?: string;
}

function gather(path: string, lines: readonly Line[], parse: (line: string) => Row): PackSource {
  const entries: SourceEntry[] = [];
  const refused: Refusal[] = [];
  for (const { text, number } of lines) {
    try {
      entries.push(listedEntry(dirname(path), parse(text)));
    } catch (error) {
      refused.push({ file: `${path}:${number}`, reason: messageOf(error) });
    }
  }
  return { origin: path, entries, refused };
}

function listedEntry(folder: string, { picture, captions, key }: Row): SourceEntry {
  const file = isAbsolute(picture) ? picture : join(folder, picture);
  return { key: key ?? stemOf(toPosix(picture)), file: picture, captions, read: () => readFile(file) };
}

async function folderEntry(folder: string, file: string, present: ReadonlySet<string>): Promise<SourceEntry> {
  const key = stemOf(file);
  const entry = { key, file, read: () => readFile(join(folder, file)) };
  const sidecar = [`${key}.txt`, `${key}.json`].find((name) => present.has(name));
  if (sidecar === undefined)
    return { ...entry, captions: [], captionFault: `no caption: no ${key}.txt or ${key}.json` };
  try {
    const captions = parseSidecar(sidecar, await readFile(join(folder, sidecar), 'utf8'));
    return { ...entry, captions, captionFault: `no caption in ${sidecar}` };
  } catch (error) {
    return { ...entry, captions: [], captionFault: `no caption: ${sidecar}: ${messageOf(error)}` };
  }
}

async function readLines(path: string): Promise<Line[]> {
  const text = await explainMissing(path, readFile(path, 'utf8'));
  return text
    .replace(/^\u{feff}/u, '')
    .split(/\r?\n/)
    .map((line, index) => ({ text: line, number: index + 1 }))
    .filter((line) => line.text.trim() !== '');
}
