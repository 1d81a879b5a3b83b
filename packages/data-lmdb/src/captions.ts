/** Fields of a JSON record that may hold a caption, or several. The first that does gives the main caption. */
export const CAPTION_FIELDS: readonly string[] = [
  'caption',
  'captions',
  'prompt',
  'text',
  'florence_en',
  'gpt_caption',
  'minicpm_caption',
  'llava_zh',
];

/** Captions without surrounding space, empty ones and repetitions. */
export function cleanCaptions(captions: readonly string[]): string[] {
  const cleaned = captions.map((caption) => caption.trim().replaceAll(/\s+/g, ' '));
  return [...new Set(cleaned)].filter((caption) => caption !== '');
}

/** A JSON record of a picture; a text or a list stands for its captions. @throws Error that says what is wrong with it. */
export function parseFields(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('not JSON');
  }
  return asFields(value);
}

/** A value of JSON as a record of a picture. @throws Error when it is none. */
export function asFields(value: unknown): Record<string, unknown> {
  if (typeof value === 'string' || Array.isArray(value)) return { captions: value };
  if (typeof value !== 'object' || value === null) throw new Error('not a JSON object');
  return value as Record<string, unknown>;
}

/** All captions of a record, the main one first. */
export function captionsIn(fields: Readonly<Record<string, unknown>>): string[] {
  return CAPTION_FIELDS.flatMap((name) => fields[name]).filter((value) => typeof value === 'string');
}

/** Captions of a `.txt`, one a line, or of a `.json`. */
export function parseSidecar(name: string, text: string): string[] {
  return name.endsWith('.txt') ? text.split('\n') : captionsIn(parseFields(text));
}
