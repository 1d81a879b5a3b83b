import { MetricError } from '../picture.ts';

/** A prompt of a suite, and where its pictures go. */
export interface SuitePrompt {
  /** Unique in its suite. */
  readonly key: string;
  readonly prompt: string;
  readonly category?: string;
  /** Files of its pictures, one for each, relative to the folder of all; PNG. */
  files(count: number): string[];
}

/** Prompts in the layout of a benchmark. */
export interface PromptSuite {
  readonly kind: 'prompts' | 'mjhq' | 'coco' | 'geneval' | 'dpg-bench';
  readonly prompts: readonly SuitePrompt[];
  /** Pictures a prompt, as the benchmark has it. */
  readonly count: number;
  /** What the prompts are and how the benchmark scores them. */
  readonly protocol: string;
  /** Files that the benchmark's scorer reads beside the pictures, by path. */
  readonly extras: ReadonlyMap<string, string>;
}

const fault = (message: string): MetricError => new MetricError('prompts', message);

/** `name.png`, or `name-0.png`, `name-1.png` and so on for several. */
const numbered =
  (name: string) =>
  (count: number): string[] =>
    count === 1 ? [`${name}.png`] : Array.from({ length: count }, (_, i) => `${name}-${i}.png`);

const digits = (value: number, width: number): string => String(value).padStart(width, '0');

/** A part of a file's path. @throws MetricError for anything that would lead elsewhere. */
function safeName(name: string, file: string): string {
  if (name && !/[/\\:\0]/.test(name) && !/^\.+$/.test(name)) return name;
  throw fault(`${file} must name pictures by plain file names, got ${JSON.stringify(name)}. Rename it.`);
}

function checked(suite: PromptSuite): PromptSuite {
  if (!suite.prompts.length) throw fault('file must hold prompts, got none. Give one a line.');
  const seen = new Set<string>();
  for (const { key } of suite.prompts) {
    if (seen.has(key)) throw fault(`names must differ, got ${JSON.stringify(key)} twice. Rename one.`);
    seen.add(key);
  }
  return suite;
}

/** One prompt a line; blank lines and lines that begin with # do not count. */
export function linePrompts(text: string): PromptSuite {
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line && !line.startsWith('#'));
  return checked({
    kind: 'prompts',
    count: 1,
    protocol: `${lines.length} prompts of a file`,
    extras: new Map(),
    prompts: lines.map((prompt, i) => ({ key: digits(i, 5), prompt, files: numbered(digits(i, 5)) })),
  });
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw fault(`${file} must be JSON, got ${JSON.stringify(text.slice(0, 40))} (${(cause as Error).message}).`);
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Prompts of a .json file: MJHQ-30K's meta_data.json or COCO's captions. @throws MetricError if it is neither. */
export function jsonPrompts(text: string): PromptSuite {
  const json = parseJson(text, 'file');
  if (isObject(json) && Array.isArray(json['annotations'])) return cocoPrompts(json['annotations']);
  if (isObject(json) && Object.values(json).every(isMjhqEntry)) return mjhqPrompts(json as Record<string, MjhqEntry>);
  throw fault(
    'file must be the meta_data.json of MJHQ-30K ({name: {category, prompt}}) or captions of COCO ({annotations}), got another form.',
  );
}

interface MjhqEntry {
  readonly category: string;
  readonly prompt: string;
}

const isMjhqEntry = (value: unknown): value is MjhqEntry =>
  isObject(value) && typeof value['category'] === 'string' && typeof value['prompt'] === 'string';

function mjhqPrompts(entries: Readonly<Record<string, MjhqEntry>>): PromptSuite {
  const prompts = Object.entries(entries).map(([name, { category, prompt }]) => {
    const path = `${safeName(category, 'meta_data.json')}/${safeName(name, 'meta_data.json')}`;
    return { key: path, prompt, category, files: numbered(path) };
  });
  const categories = new Set(prompts.map(({ category }) => category)).size;
  const protocol = `${prompts.length} prompts of ${categories} categories (MJHQ-30K layout)`;
  return checked({ kind: 'mjhq', count: 1, protocol, extras: new Map(), prompts });
}

/** The first caption of each picture, by the pictures' order in the file. */
function cocoPrompts(annotations: readonly unknown[]): PromptSuite {
  const first = new Map<number, { readonly id: number; readonly caption: string }>();
  for (const annotation of annotations) {
    if (!isObject(annotation) || typeof annotation['caption'] !== 'string' || !Number.isInteger(annotation['image_id']))
      throw fault(`annotations must have image_id and caption, got ${JSON.stringify(annotation)?.slice(0, 80)}.`);
    const [image, id] = [annotation['image_id'] as number, Number(annotation['id'] ?? 0)];
    const known = first.get(image);
    if (!known || id < known.id) first.set(image, { id, caption: annotation['caption'] });
  }
  const prompts = [...first].map(([image, { caption }]) => {
    const key = digits(image, 12);
    return { key, prompt: caption.trim(), files: numbered(key) };
  });
  const protocol = `the first caption of each of ${prompts.length} COCO pictures`;
  return checked({ kind: 'coco', count: 1, protocol, extras: new Map(), prompts });
}

/** GenEval's metadata.jsonl: pictures at {number}/samples/{number}.png with the line's metadata beside, as its scorer reads them. */
export function genevalPrompts(text: string): PromptSuite {
  const lines = text.split(/\r?\n/).filter((line) => line.trim());
  const prompts = lines.map((line, i) => {
    const entry = parseJson(line, `line ${i + 1}`);
    if (!isObject(entry) || typeof entry['prompt'] !== 'string')
      throw fault(`line ${i + 1} must be an object with a prompt, got ${JSON.stringify(line.slice(0, 80))}.`);
    const key = digits(i, 5);
    const tag = typeof entry['tag'] === 'string' ? { category: entry['tag'] } : {};
    const files = (count: number): string[] =>
      Array.from({ length: count }, (_, k) => `${key}/samples/${digits(k, 5)}.png`);
    return { key, prompt: entry['prompt'], ...tag, files };
  });
  return checked({
    kind: 'geneval',
    count: 4,
    protocol: `${prompts.length} prompts of GenEval, 4 pictures each; scored by GenEval's own detector (evaluation/evaluate_images.py), not here`,
    extras: new Map(lines.map((line, i) => [`${digits(i, 5)}/metadata.jsonl`, line])),
    prompts,
  });
}

/** DPG-Bench's prompts, one a .txt file by name: pictures at samples/{name}/{number}.png, joined to 2x2 grids for its scorer. */
export function dpgPrompts(files: ReadonlyMap<string, string>): PromptSuite {
  const prompts = [...files].map(([file, text]) => {
    const key = safeName(file.replace(/\.txt$/, ''), 'folder');
    const samples = (count: number): string[] => Array.from({ length: count }, (_, k) => `samples/${key}/${k}.png`);
    return { key, prompt: text.trim(), files: samples };
  });
  return checked({
    kind: 'dpg-bench',
    count: 4,
    protocol: `${prompts.length} prompts of DPG-Bench, 4 pictures each in grids/{name}.png; scored by its own question answering (compute_dpg_bench.py), not here`,
    extras: new Map(),
    prompts,
  });
}
