import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { emojiCaptions, type EmojiCaptions, type EmojiWords } from './emoji-captions.ts';
import { tellingPhrases } from './emoji-phrases.ts';
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
/** Whose names are short names of an emoji; the order is that of the captions. */
const SHORT_NAMES = ['github', 'emojibase', 'iamcal', 'joypixels'];

/** Which emoji to pack. */
export interface EmojiOptions {
  /** Leave out skin tones, flags and pictures that are there twice. Default false: all 3,391. */
  distinct?: boolean;
  /** Which captions; pictures that have none of the last three kinds are left out. Default `taught`. */
  captions?: EmojiCaptions;
}

interface Naming {
  name: string;
  group: string;
}

interface Keywords {
  hexcode: string;
  tags?: readonly string[];
}

/** Short names by code points. */
type ShortNames = Record<string, string | readonly string[]>;

/**
 * The Fluent 3D emoji (npm @lobehub/fluent-emoji-3d, MIT), transparent WebP of 256 pixels, with captions made of the
 * names and groups of unicode-emoji-json (MIT) and the keywords and short names of emojibase-data (MIT). Keys are the
 * pictures' code points, such as `1f34e`; labels are `emoji`, `name`, `group`, and `tone` where there is one.
 */
export async function emojiSource(options: EmojiOptions = {}): Promise<PackSource> {
  const { captions = 'taught' } = options;
  const require = createRequire(import.meta.url);
  const folder = join(dirname(locate(require, `${PICTURES}/package.json`)), 'assets');
  const known = {
    names: namesByEmoji(await readJson(locate(require, `${NAMES}/data-by-emoji.json`))),
    keywords: keywordsByEmoji(await readJson(locate(require, `${KEYWORDS}/en/data.json`))),
    shortNames: shortNamesByEmoji(
      await Promise.all(
        SHORT_NAMES.map((set) => readJson<ShortNames>(locate(require, `${KEYWORDS}/en/shortcodes/${set}.json`))),
      ),
    ),
  };
  const files = (await readdir(folder)).filter((file) => file.endsWith('.webp')).toSorted();
  const all = files.map((file) => emojiPicture(folder, file, known));
  const listed = all.map(({ words }) => words);
  const phrases = captions === 'phrases' || captions === 'words' ? tellingPhrases(listed, captions) : () => [];
  const chosen = options.distinct === true ? await distinctOf(all) : all;
  const captioned = chosen.map(({ words, ...picture }) => ({
    ...picture,
    captions: emojiCaptions(words, captions, phrases(words)),
  }));
  const isSeen = captions === 'taught' || captions === 'phrases';
  const entries = isSeen ? captioned : captioned.filter((entry) => entry.captions.length > 0);
  return { origin: PICTURES, entries, refused: [] };
}

/** What the lists say of emoji, by code points. */
interface Known {
  readonly names: ReadonlyMap<string, Naming>;
  readonly keywords: ReadonlyMap<string, readonly string[]>;
  readonly shortNames: ReadonlyMap<string, readonly string[]>;
}

/** An emoji before it has captions. */
interface EmojiPicture extends Omit<SourceEntry, 'captions'> {
  readonly words: EmojiWords;
}

function emojiWords(key: string, { names, keywords, shortNames }: Known): EmojiWords {
  const points = parsePoints(key);
  const plain = identity(points.filter((point) => !TONES.has(point)));
  return {
    key,
    name: '',
    group: '',
    ...names.get(plain),
    tone: [...new Set(points.flatMap((point) => TONES.get(point) ?? []))].join(', '),
    keywords: keywords.get(plain) ?? [],
    shortNames: shortNames.get(plain) ?? [],
  };
}

function emojiPicture(folder: string, file: string, known: Known): EmojiPicture {
  const words = emojiWords(file.slice(0, -'.webp'.length), known);
  return { key: words.key, file, labels: labelsOf(words), read: () => readFile(join(folder, file)), words };
}

function labelsOf({ key, name, group, tone }: EmojiWords): Record<string, string> {
  return { emoji: String.fromCodePoint(...parsePoints(key)), name, group, ...(tone === '' ? {} : { tone }) };
}

async function distinctOf(pictures: readonly EmojiPicture[]): Promise<EmojiPicture[]> {
  const plain = pictures.filter(({ words }) => words.tone === '' && words.group !== 'Flags');
  const seen = new Set<string>();
  const kept: EmojiPicture[] = [];
  for (const picture of plain) {
    const marks = [identity(parsePoints(picture.key)), digest(await picture.read())];
    if (!marks.some((mark) => seen.has(mark))) kept.push(picture);
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

/** The short names of all sets as words, each once. */
function shortNamesByEmoji(sets: readonly ShortNames[]): Map<string, readonly string[]> {
  const all = new Map<string, Set<string>>();
  for (const [hexcode, names] of sets.flatMap((set) => Object.entries(set))) {
    const emoji = identity(parsePoints(hexcode));
    const words = all.get(emoji) ?? new Set();
    for (const name of [names].flat()) words.add(name.replaceAll(/[_-]+/g, ' ').trim());
    all.set(emoji, words);
  }
  return new Map([...all].map(([emoji, words]) => [emoji, [...words]]));
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
