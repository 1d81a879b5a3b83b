import { createHash } from 'node:crypto';
import { type Pack, type PackWriter, openPack, type PictureSize } from '@star-webgpu/data-lmdb';
import type { CaptionFeatures, TokenCache } from '@star-webgpu/trainer';

/** What a file of tokens says about itself: an array of UTF-8 bytes of its own kind. */
export interface TokensAbout {
  readonly format: 'star-webgpu-tokens';
  readonly version: 1;
  /** Digest of the VQVAE's folder. */
  readonly vqvae: string;
  /** Where captions were encoded: digest of the text encoder's folder, tokens a caption, width of states. */
  readonly text?: { readonly digest: string; readonly tokens: number; readonly width: number };
  /** The packs whose pictures these are. */
  readonly packs: readonly { readonly name: string; readonly pictures: number; readonly digest: string }[];
}

const aboutKind = 'about';
const statesKind = 'caption states';
const pooledKind = 'caption pooled';
const tokensKind = ({ height, width }: PictureSize): string => `tokens ${height}x${width}`;

/** Captions are of any length, keys are not. */
const captionKey = (caption: string): string => createHash('sha256').update(caption).digest('hex');

/** Puts what a file of tokens says about itself into it. */
export function putAbout(writer: PackWriter, about: TokensAbout): void {
  const data = new TextEncoder().encode(JSON.stringify(about));
  writer.putArray(aboutKind, 'tokens', { dtype: 'u8', shape: [data.length], data });
}

/** Puts the tokens of a picture at a size, in 16 bits each where they fit. */
export function putTokens(
  writer: PackWriter,
  key: string,
  { indices, size, codes }: { readonly indices: Uint32Array; readonly size: PictureSize; readonly codes: number },
): void {
  const shape = [indices.length];
  const array =
    codes <= 2 ** 16
      ? ({ dtype: 'u16', shape, data: Uint16Array.from(indices) } as const)
      : ({ dtype: 'u32', shape, data: indices } as const);
  writer.putArray(tokensKind(size), key, array);
}

/** Whether the tokens of a picture at a size are there already. */
export const hasTokens = (writer: PackWriter, key: string, size: PictureSize): boolean =>
  writer.hasArray(tokensKind(size), key);

/** Whether the features of a caption are there already. */
export const hasCaption = (writer: PackWriter, caption: string): boolean =>
  [statesKind, pooledKind].every((kind) => writer.hasArray(kind, captionKey(caption)));

/** Puts the features of a caption. */
export function putCaption(writer: PackWriter, caption: string, { states, pooled }: CaptionFeatures): void {
  const key = captionKey(caption);
  const width = pooled.length;
  writer.putArray(statesKind, key, { dtype: 'f32', shape: [states.length / width, width], data: states });
  writer.putArray(pooledKind, key, { dtype: 'f32', shape: [width], data: pooled });
}

/** What training wants of a file of tokens. */
export interface TokensWanted {
  readonly packs: readonly Pack[];
  /** Digest of the VQVAE's folder. */
  readonly vqvae: string;
  /** Digest of the folder of a frozen text encoder; none where one learns along. */
  readonly text?: string;
  /** The pictures, with the size that each is loaded at. */
  readonly pictures: readonly { readonly key: string; readonly size: PictureSize }[];
  /** All captions that may be drawn. */
  readonly captions: ReadonlySet<string>;
}

/** Tokens and features of a file as training reads them. */
export interface TokenFile extends TokenCache {
  close(): Promise<void>;
}

/** Opens a file of tokens. @throws Error listing everything in which it differs from what is wanted. */
export async function openTokens(path: string, wanted: TokensWanted): Promise<TokenFile> {
  const pack = await openPack(path);
  try {
    const about = readAbout(pack);
    const faults = about ? faultsOf(pack, about, wanted) : ['a pack without tokens'];
    if (!faults.length) return tokenFile(pack, wanted.text ? about!.text : undefined);
    throw new Error(
      `data.tokens must be the tokens of this data by these encoders, got ${faults.join('; ')} in ${path}. Run star tokenize with this config.`,
    );
  } catch (fault) {
    await pack.close();
    throw fault;
  }
}

function readAbout(pack: Pack): TokensAbout | undefined {
  if (!pack.arrayKeys(aboutKind).includes('tokens')) return undefined;
  const { data } = pack.getArray(aboutKind, 'tokens');
  const about = JSON.parse(new TextDecoder().decode(data as Uint8Array)) as TokensAbout;
  return about.format === 'star-webgpu-tokens' && about.version === 1 ? about : undefined;
}

function faultsOf(pack: Pack, about: TokensAbout, wanted: TokensWanted): string[] {
  const packs = faultOfPacks(about.packs, wanted.packs);
  const textsDiffer = about.text && wanted.text && about.text.digest !== wanted.text;
  const missing = [missingPictures(pack, wanted.pictures), about.text ? missingCaptions(pack, wanted) : 0];
  return [
    ...(about.vqvae === wanted.vqvae ? [] : ['tokens of another VQVAE']),
    ...(textsDiffer ? ['features of another text encoder'] : []),
    ...(packs ? [packs] : []),
    ...(missing[0] ? [`no tokens of ${missing[0]} pictures`] : []),
    ...(missing[1] ? [`no features of ${missing[1]} captions`] : []),
  ];
}

/** What tells packs from others. */
export const packsAbout = (packs: readonly Pack[]): TokensAbout['packs'] =>
  packs.map((pack) => ({ name: pack.name, pictures: pack.size, digest: pack.digest() }));

const described = (packs: TokensAbout['packs']): string =>
  packs.map(({ name, pictures }) => `${name} (${pictures} pictures)`).join(', ');

/** In what the packs of tokens differ from those of this data, if they do. */
function faultOfPacks(about: TokensAbout['packs'], wanted: readonly Pack[]): string | undefined {
  const now = packsAbout(wanted);
  if (JSON.stringify(about) === JSON.stringify(now)) return undefined;
  return described(about) === described(now)
    ? `tokens of what ${described(now)} held before it was packed again`
    : `tokens of ${described(about)}`;
}

function missingPictures(pack: Pack, pictures: TokensWanted['pictures']): number {
  const known = new Map<string, Set<string>>();
  const at = (kind: string): Set<string> => {
    if (!known.has(kind)) known.set(kind, new Set(pack.arrayKeys(kind)));
    return known.get(kind)!;
  };
  return pictures.filter(({ key, size }) => !at(tokensKind(size)).has(key)).length;
}

function missingCaptions(pack: Pack, { captions, text }: TokensWanted): number {
  if (!text) return 0;
  const known = new Set(pack.arrayKeys(statesKind));
  return [...captions].filter((caption) => !known.has(captionKey(caption))).length;
}

function tokenFile(pack: Pack, text: TokensAbout['text']): TokenFile {
  return {
    indices: (key, size) => Uint32Array.from(pack.getArray(tokensKind(size), key).data),
    ...(text && {
      text: {
        tokens: text.tokens,
        width: text.width,
        features: (caption) => {
          const key = captionKey(caption);
          const values = (kind: string): Float32Array => pack.getArray(kind, key).data as Float32Array;
          return { states: values(statesKind), pooled: values(pooledKind) };
        },
      },
    }),
    close: () => pack.close(),
  };
}
