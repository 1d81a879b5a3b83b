import { decodeHTML } from 'entities';
import { Parser } from 'htmlparser2';

/**
 * Cleans a caption as T5-conditioned models of pictures were trained with it (the rules of DeepFloyd IF, applied twice): lower case, no markup,
 * addresses, handles, ideographs, file names, article numbers or runs of punctuation. Mojibake is not repaired.
 */
export const cleanCaption = (caption: string): string => cleanOnce(cleanOnce(caption));

function cleanOnce(caption: string): string {
  const addressed = applyRules(decodePercent(caption).trim().toLowerCase(), addresses);
  const plain = spaceJoiners(applyRules(textOf(addressed), symbols));
  return applyRules(decodeHTML(decodeHTML(unify(plain))).trim(), phrases).trim();
}

/** What goes, and what comes in its place. */
type Rule = readonly [pattern: RegExp, replacement: string];

const applyRules = (text: string, rules: readonly Rule[]): string =>
  rules.reduce((rest, [pattern, replacement]) => rest.replace(pattern, replacement), text);

/** A letter, digit or underscore of any script; JavaScript's own \w and \b know Latin alone. */
const word = '\\p{L}\\p{N}_';
const edge = `(?:(?<=[${word}])(?![${word}])|(?<![${word}])(?=[${word}]))`;

/** A global pattern in which \b is the edge of a word of any script, \d a digit of any, and \w, in brackets, a letter or digit of any. */
const anyScript = (source: string): RegExp =>
  new RegExp(source.replaceAll('\\b', edge).replaceAll('\\w', word).replaceAll('\\d', '\\p{Nd}'), 'gu');

const domains = 'com|co|ru|net|org|edu|gov|it';
const files = 'png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4';
const address = anyScript(`\\b(?:(?:https?|www):(?:/{1,3}|[a-z0-9%])|[a-z0-9.-]+\\.(?:${domains})[\\w/-]*\\b/?(?!@))`);

/** Twice, since what follows a scheme is an address of its own. */
const addresses: readonly Rule[] = [
  [/<person>/g, 'person'],
  [address, ''],
  [address, ''],
];

const symbols: readonly Rule[] = [
  [anyScript('@[\\w]+\\b'), ''],
  // strokes, phonetic extensions, enclosed and square forms, hexagrams, unified ideographs
  [/[\u31c0-\u4dff\u4e00-\u9fff]+/g, ''],
  // every kind of dash and hyphen
  [
    /[-\u058a\u05be\u1400\u1806\u2010-\u2015\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u301c\u3030\u30a0\ufe31\ufe32\ufe58\ufe63\uff0d]+/g,
    '-',
  ],
  [/[`´«»“”¨]/g, '"'],
  [/[‘’]/g, "'"],
  [/&quot;?|&amp/g, ''],
  // network addresses
  [anyScript('\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}'), ' '],
  // a time that ends an article
  [anyScript('\\d:\\d\\d\\s+$'), ''],
  [/\\n/g, ' '],
  // numbers of articles
  [anyScript('#\\d{1,3}\\b'), ''],
  [anyScript('#\\d{5,}\\b'), ''],
  [anyScript('\\b\\d{6,}\\b'), ''],
  // the look-behind keeps long words from being tried from each of their letters
  [new RegExp(`(?<!\\S)\\S+\\.(?:${files})`, 'g'), ''],
  [/["']{2,}/g, '"'],
  [/\.{2,}/g, ' '],
  [/[#®•©™&@·º½¾¿¡§~)(\][}{|\\/*]+/g, ' '],
  [/(?<!\s)\s+\.\s+/g, ' '],
];

/** Hyphens and underscores that stand for spaces, as in names of pages: more than three of them. */
const spaceJoiners = (text: string): string =>
  (text.match(/[-_]/g)?.length ?? 0) > 3 ? text.replace(/[-_]/g, ' ') : text;

const phrases: readonly Rule[] = [
  // codes of articles
  [anyScript('\\b[a-zA-Z]{1,3}\\d{3,15}\\b'), ''],
  [anyScript('\\b[a-zA-Z]+\\d+[a-zA-Z]+\\b'), ''],
  [anyScript('\\b\\d+[a-zA-Z]+\\d+\\b'), ''],
  // what shops and archives say
  [/(worldwide\s+)?(free\s+)?shipping/g, ''],
  [/(free\s)?download(\sfree)?/g, ''],
  [anyScript('\\bclick\\b\\s(?:for|on)\\s[\\w]+'), ''],
  [anyScript(`\\b(?:${files})(?:\\simages?)?`), ''],
  [anyScript('\\bpage\\s+\\d+\\b'), ''],
  [anyScript('\\b\\d*[a-zA-Z]+\\d+[a-zA-Z]+\\d+[a-zA-Z\\d]*\\b'), ' '],
  // sizes, with a Latin or Cyrillic letter or the sign between
  [anyScript('\\b\\d+\\.?\\d*[xх×]\\d+\\.?\\d*\\b'), ''],
  [anyScript('\\b\\s+:\\s+'), ': '],
  [anyScript('(\\P{Nd}[,./])\\b'), '$1 '],
  [/\s+/g, ' '],
  // quotes around the whole, and what hangs on at either end
  [/^["']([^]+)["']$/g, '$1'],
  [/^['_,\-:;]/g, ''],
  [/['_,\-:+]$/g, ''],
  [/^\.\S+$/g, ''],
];

/** Form-encoded text: plus for a space, %41 for a byte of UTF-8. */
const decodePercent = (text: string): string =>
  text
    .replaceAll('+', ' ')
    .replace(/(?:%[0-9a-f]{2})+/gi, (run) =>
      new TextDecoder().decode(Uint8Array.from(run.slice(1).split('%'), (hex) => Number.parseInt(hex, 16))),
    );

/** The text of HTML, without tags, comments, scripts and styles; a tag that never closes is text. */
function textOf(html: string): string {
  const open = html.lastIndexOf('<');
  const end = open >= 0 && !html.includes('>', open) ? open : html.length;
  const pieces: string[] = [];
  const hidden: string[] = [];
  const parser = new Parser({
    onopentag: (name) => void (hidesText(name) && hidden.push(name)),
    onclosetag: (name) => void (hidesText(name) && hidden.pop()),
    ontext: (text) => void (hidden.length || pieces.push(text)),
  });
  parser.end(html.slice(0, end));
  return pieces.join('') + html.slice(end);
}

const hidesText = (tag: string): boolean => tag === 'script' || tag === 'style';

/** One way to write what Unicode has several for: composed letters, ligatures, full and half widths, quotes; no control characters. */
function unify(text: string): string {
  const compatible = (run: string): string => run.normalize('NFKC');
  return (
    text
      // bytes of Windows' own character set that were taken for Unicode; numeric references have the same table
      .replace(/[\u0080-\u009f]/g, (one) => decodeHTML(`&#${one.charCodeAt(0)};`))
      .replace(/[\u0132\u0133\u0149\u01c4-\u01cc\u01f1-\u01f3\ufb00-\ufb06\uff01-\uffef]+/g, compatible)
      .replace(/[\u02bc\u2018-\u201b]/g, "'")
      .replace(/[\u201c-\u201f]/g, '"')
      .replace(/(?![\t\n\f\r])\p{Cc}|[\u206a-\u206f\ufeff\ufff9-\ufffc]/gu, '')
      .normalize('NFC')
  );
}
