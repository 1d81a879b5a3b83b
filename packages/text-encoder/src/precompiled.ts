import { Normalizer, PrecompiledNormalizer, SequenceNormalizer } from '@huggingface/tokenizers';

/** Graphemes of fewer bytes are looked up whole; longer ones, as families of emoji, letter by letter. */
const longestGrapheme = 6;

/**
 * The rules of a sentencepiece model for writing text one way, as its tokenizer.json holds them: a double-array trie of prefixes
 * (Yata et al., 2007) and the texts that replace them. The library imitates them by NFKC, which differs for joiners and controls.
 */
class CharacterMap extends Normalizer {
  private readonly trie: Uint32Array;
  private readonly texts: Uint8Array;
  private readonly graphemes: Intl.Segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

  constructor(encoded: string) {
    super({ type: 'Precompiled', precompiled_charsmap: encoded });
    const bytes = Uint8Array.from(atob(encoded), (one) => one.charCodeAt(0));
    const length = new DataView(bytes.buffer).getUint32(0, true);
    this.trie = new Uint32Array(bytes.slice(4, 4 + length).buffer);
    this.texts = bytes.subarray(4 + length);
  }

  override normalize(text: string): string {
    const rewritten = Array.from(this.graphemes.segment(text), ({ segment }) => this.rewrite(segment)).join('');
    // The one space of Unicode that JavaScript's \s, by which the library splits words, does not know.
    return rewritten.replaceAll('\u0085', ' ');
  }

  private rewrite(grapheme: string): string {
    const whole = utf8.encode(grapheme).length < longestGrapheme ? this.find(grapheme) : undefined;
    return whole ?? Array.from(grapheme, (character) => this.find(character) ?? character).join('');
  }

  /** What replaces the shortest prefix that the trie knows. */
  private find(piece: string): string | undefined {
    let node = offsetOf(this.trie[0]!);
    for (const byte of utf8.encode(piece)) {
      node ^= byte;
      const unit = this.trie[node] ?? 0;
      if (byte === 0 || labelOf(unit) !== byte) return undefined;
      node ^= offsetOf(unit);
      if (hasValue(unit)) return this.textAt(this.trie[node]! & 0x7fffffff);
    }
    return undefined;
  }

  private textAt(start: number): string {
    return new TextDecoder().decode(this.texts.subarray(start, this.texts.indexOf(0, start)));
  }
}

const utf8 = new TextEncoder();
const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & (1 << 9)) >>> 6);
const labelOf = (unit: number): number => (unit & (0x80000000 | 0xff)) >>> 0;
const hasValue = (unit: number): boolean => ((unit >>> 8) & 1) === 1;

/** A library's normaliser with sentencepiece's rules followed to the letter. */
export function exactNormalizer(normalizer: Normalizer | null): Normalizer | null {
  if (normalizer instanceof SequenceNormalizer)
    normalizer.normalizers = normalizer.normalizers.map((one) => exactNormalizer(one));
  const encoded = normalizer instanceof PrecompiledNormalizer ? normalizer.charsmap : null;
  return typeof encoded === 'string' && encoded ? new CharacterMap(encoded) : normalizer;
}
