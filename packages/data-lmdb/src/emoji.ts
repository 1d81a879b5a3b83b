import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PackError } from './errors.ts';
import type { PackSource, SourceEntry } from './source.ts';

const PICTURES = '@lobehub/fluent-emoji-3d';
const NAMES = 'unicode-emoji-json';
const KEYWORDS = 'emojibase-data';

const TEXT_STYLE = 0xfe0f;
const TAG_END = 0xe007f;
const TONES: ReadonlyMap<number, string> = new Map([
  [0x1f3fb, 'light skin tone'],
  [0x1f3fc, 'medium-light skin tone'],
  [0x1f3fd, 'medium skin tone'],
  [0x1f3fe, 'medium-dark skin tone'],
  [0x1f3ff, 'dark skin tone'],
]);
/** Keywords beyond these grow vague. */
const MAX_KEYWORDS = 6;

/** Which emoji to pack. */
export interface EmojiOptions {
  /** Leave out skin tones, flags and pictures that are there twice. Default false: all 3,391. */
  distinct?: boolean;
}

interface Naming {
  name: string;
  group: string;
}

interface Keywords {
  hexcode: string;
  tags?: readonly string[];
}

/**
 * The Fluent 3D emoji (npm @lobehub/fluent-emoji-3d, MIT), transparent WebP of 256 pixels, with captions made of the
 * names and groups of unicode-emoji-json (MIT) and the keywords of emojibase-data (MIT). Keys are the pictures' code
 * points, such as `1f34e`; labels are `emoji`, `name`, `group`, and `tone` where there is one.
 */
export async function emojiSource(options: EmojiOptions = {}): Promise<PackSource> {
  const require = createRequire(import.meta.url);
  const folder = join(dirname(locate(require, `${PICTURES}/package.json`)), 'assets');
  const names = namesByEmoji(await readJson(locate(require, `${NAMES}/data-by-emoji.json`)));
  const keywords = keywordsByEmoji(await readJson(locate(require, `${KEYWORDS}/en/data.json`)));
  const files = (await readdir(folder)).filter((file) => file.endsWith('.webp')).toSorted();
  const entries = files.map((file) => emojiEntry(folder, file, { names, keywords }));
  return { origin: PICTURES, entries: options.distinct === true ? await distinctOf(entries) : entries, refused: [] };
}

function emojiEntry(
  folder: string,
  file: string,
  known: { names: ReadonlyMap<string, Naming>; keywords: ReadonlyMap<string, readonly string[]> },
): SourceEntry {
  const key = file.slice(0, -'.webp'.length);
  const points = parsePoints(key);
  const plain = identity(points.filter((point) => !TONES.has(point)));
  const tone = [...new Set(points.flatMap((point) => TONES.get(point) ?? []))].join(', ');
  const emoji = { tone, name: '', group: '', ...known.names.get(plain) };
  return {
    key,
    file,
    captions: emoji.name === '' ? [] : captionsOf({ ...emoji, keywords: known.keywords.get(plain) ?? [] }),
    labels: labelsOf(points, emoji),
    read: () => readFile(join(folder, file)),
  };
}

function labelsOf(points: readonly number[], { name, group, tone }: Naming & { tone: string }): Record<string, string> {
  return { emoji: String.fromCodePoint(...points), name, group, ...(tone === '' ? {} : { tone }) };
}

/** The name first, then the name with its group, the name with keywords, the keywords alone. */
function captionsOf(emoji: Naming & { tone: string; keywords: readonly string[] }): string[] {
  const suffix = emoji.tone === '' ? '' : `, ${emoji.tone}`;
  const name = `${emoji.name}${suffix}`;
  const words = new Set(emoji.name.toLowerCase().split(/\W+/));
  const others = emoji.keywords.filter((keyword) => !words.has(keyword)).slice(0, MAX_KEYWORDS);
  return [
    name,
    `${emoji.group.toLowerCase()}: ${name}`,
    [name, ...others.slice(0, 3)].join(', '),
    emoji.keywords.length === 0 ? '' : `${emoji.keywords.slice(0, MAX_KEYWORDS).join(' ')}${suffix}`,
  ];
}

async function distinctOf(entries: readonly SourceEntry[]): Promise<SourceEntry[]> {
  const plain = entries.filter(({ labels }) => labels?.['tone'] === undefined && labels?.['group'] !== 'Flags');
  const seen = new Set<string>();
  const kept: SourceEntry[] = [];
  for (const entry of plain) {
    const marks = [identity(parsePoints(entry.key)), digest(await entry.read())];
    if (!marks.some((mark) => seen.has(mark))) kept.push(entry);
    for (const mark of marks) seen.add(mark);
  }
  return kept;
}

function namesByEmoji(names: Record<string, Naming>): Map<string, Naming> {
  return new Map(Object.entries(names).map(([emoji, naming]) => [identity(pointsOf(emoji)), naming]));
}

function keywordsByEmoji(list: readonly Keywords[]): Map<string, readonly string[]> {
  return new Map(list.map(({ hexcode, tags }) => [identity(parsePoints(hexcode)), tags ?? []]));
}

/** Code points without those that choose a style or end a tag: files and lists disagree about them. */
function identity(points: readonly number[]): string {
  const kept = points.filter((point) => point !== TEXT_STYLE && point !== TAG_END);
  return kept.map((point) => point.toString(16)).join('-');
}

const parsePoints = (text: string): number[] => text.split(/[-_]/).map((part) => Number.parseInt(part, 16));
const pointsOf = (emoji: string): number[] => [...emoji].map((character) => character.codePointAt(0) as number);
const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function readJson<Value>(path: string): Promise<Value> {
  return JSON.parse(await readFile(path, 'utf8')) as Value;
}

function locate(require: NodeJS.Require, file: string): string {
  try {
    return require.resolve(file);
  } catch (cause) {
    throw new PackError(
      'missing',
      `emojiSource: ${file} must be installed, got none. Run npm install ${PICTURES} ${NAMES} ${KEYWORDS}.`,
      { path: file, cause },
    );
  }
}
