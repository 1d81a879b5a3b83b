import { readdir, readFile } from 'node:fs/promises';
import { dirname, extname, isAbsolute, join, relative, sep } from 'node:path';
import { check, codeOf, messageOf, PackError } from './errors.ts';

/** A picture to be packed; its bytes are read only when its turn comes. */
export interface SourceEntry {
  /** Unique name inside the pack. */
  key: string;
  /** Where it comes from, for reports. */
  file: string;
  captions: readonly string[];
  /** Why there is no caption, when there is none. */
  captionFault?: string;
  /** Free properties to choose by later. */
  labels?: Readonly<Record<string, string>>;
  /** Encoded bytes. */
  read: () => Promise<Uint8Array>;
}

/** Something that was left out, and why. */
export interface Refusal {
  file: string;
  reason: string;
}

/** Pictures to be packed, and what was already refused while they were listed. */
export interface PackSource {
  /** Where the pictures come from, for reports. */
  origin: string;
  entries: readonly SourceEntry[];
  refused: readonly Refusal[];
}

const PICTURES: ReadonlySet<string> = new Set(['.png', '.jpg', '.jpeg', '.webp', '.avif', '.gif', '.tif', '.tiff']);
/** Fields of a JSON record that may hold a caption, or several. The first that does gives the main caption. */
const CAPTION_FIELDS = [
  'caption',
  'captions',
  'prompt',
  'text',
  'florence_en',
  'gpt_caption',
  'minicpm_caption',
  'llava_zh',
];
const PICTURE_FIELDS = ['image', 'file', 'file_name', 'path'];

/** Captions without surrounding space, empty ones and repetitions. */
export function cleanCaptions(captions: readonly string[]): string[] {
  const cleaned = captions.map((caption) => caption.trim().replaceAll(/\s+/g, ' '));
  return [...new Set(cleaned)].filter((caption) => caption !== '');
}

/**
 * All pictures below a folder. The captions of `a.png` stand in `a.txt` (one a line) or `a.json` (caption, captions,
 * prompt, text, or the caption fields of the reference's data sets). Keys are paths without their ending.
 */
export async function folderSource(folder: string): Promise<PackSource> {
  const files = await listFiles(folder);
  const present = new Set(files);
  const pictures = files.filter((file) => PICTURES.has(extname(file).toLowerCase()));
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

/** The source that a path stands for: a folder, a .jsonl or a .tsv file. */
export async function sourceOf(path: string): Promise<PackSource> {
  const ending = extname(path).toLowerCase();
  if (ending === '.jsonl') return await jsonlSource(path);
  if (ending === '.tsv') return await tsvSource(path);
  return await folderSource(path);
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

function parseSidecar(name: string, text: string): string[] {
  return name.endsWith('.txt') ? text.split('\n') : captionsIn(parseFields(text));
}

function parseFields(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('not JSON');
  }
  if (typeof value === 'string' || Array.isArray(value)) return { captions: value };
  if (typeof value !== 'object' || value === null) throw new Error('not a JSON object');
  return value as Record<string, unknown>;
}

function captionsIn(fields: Record<string, unknown>): string[] {
  return CAPTION_FIELDS.flatMap((name) => fields[name]).filter((value) => typeof value === 'string');
}

async function readLines(path: string): Promise<Line[]> {
  const text = await explainMissing(path, readFile(path, 'utf8'));
  return text
    .replace(/^\u{feff}/u, '')
    .split(/\r?\n/)
    .map((line, index) => ({ text: line, number: index + 1 }))
    .filter((line) => line.text.trim() !== '');
}

async function listFiles(folder: string): Promise<string[]> {
  const found = await explainMissing(folder, readdir(folder, { recursive: true, withFileTypes: true }));
  const files = found.filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'));
  return files.map((entry) => toPosix(relative(folder, join(entry.parentPath, entry.name)))).toSorted();
}

async function explainMissing<Result>(path: string, reading: Promise<Result>): Promise<Result> {
  try {
    return await reading;
  } catch (error) {
    check(
      codeOf(error) !== 'ENOTDIR',
      () => `pack: source must be a folder, a .jsonl or a .tsv file, got ${path}. Choose one of these.`,
    );
    if (codeOf(error) !== 'ENOENT') throw error;
    throw new PackError('missing', `pack: source must exist, got none at ${path}. Correct the path.`, { path });
  }
}

const stemOf = (file: string): string => file.slice(0, file.length - extname(file).length);
const toPosix = (file: string): string => file.split(sep).join('/');
