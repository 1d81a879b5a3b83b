/** What a JSON schema of a config says of one value, as far as the reference shows it. */
export interface ValueSchema {
  readonly type?: string;
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly ValueSchema[];
  readonly items?: ValueSchema;
  readonly properties?: Readonly<Record<string, ValueSchema>>;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly pattern?: string;
  readonly default?: unknown;
  readonly description?: string;
  readonly unit?: string;
}

/** One key of a config. */
export interface ConfigKey {
  /** Names from the root, with dots between, as `--set` takes them. */
  readonly path: string;
  readonly schema: ValueSchema;
  readonly required: boolean;
}

/** All keys of an object, each before those inside it. */
export function keysOf({ properties = {}, required = [] }: ValueSchema, prefix = ''): ConfigKey[] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const path = `${prefix}${name}`;
    const nested = [schema, ...(schema.anyOf ?? [])].flatMap((part) => keysOf(part, `${path}.`));
    return [{ path, schema, required: required.includes(name) }, ...nested];
  });
}

/** Limits of a number; the largest safe integer is none. */
function limitsOf({ minimum, exclusiveMinimum, maximum }: ValueSchema): string {
  const most = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (exclusiveMinimum !== undefined) return ` above ${exclusiveMinimum}${most === undefined ? '' : `, up to ${most}`}`;
  if (minimum === undefined) return most === undefined ? '' : ` up to ${most}`;
  return most === undefined ? ` from ${minimum}` : ` from ${minimum} to ${most}`;
}

const typeNames: Readonly<Record<string, string>> = { integer: 'whole number', boolean: '`true` or `false`' };

/** The values that a key takes, in words. */
export function valuesOf(schema: ValueSchema): string {
  const { type = 'value', const: only, enum: choices, anyOf, items, minItems, pattern, unit } = schema;
  const withUnit = (text: string): string => (unit ? `${text}, in ${unit}` : text);
  if (only !== undefined) return `\`${only}\``;
  if (choices) return choices.map((choice) => `\`${choice}\``).join(', ');
  if (anyOf) return anyOf.map(valuesOf).join(', or ');
  if (items) return withUnit(`list${minItems ? '' : ', may be empty'}, each: ${valuesOf(items)}`);
  if (pattern) return `string that matches \`${pattern}\``;
  return withUnit(`${typeNames[type] ?? type}${limitsOf(schema)}`);
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

function rowOf({ path, schema, required }: ConfigKey): string {
  const fallback = schema.default === undefined ? '' : `; default \`${JSON.stringify(schema.default)}\``;
  const cells = [
    `\`${path}\``,
    `${valuesOf(schema)}${fallback || (required ? '; required' : '')}`,
    schema.description!,
  ];
  return `| ${cells.map(cell).join(' | ')} |`;
}

/** Stages by the row that they share, in the order of the first that has it. */
function stagesByRow(stages: readonly ValueSchema[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const stage of stages) {
    const name = stage.properties!['stage']!.const!;
    for (const key of keysOf(stage).filter(({ path }) => path !== 'stage')) {
      const row = rowOf(key);
      found.set(row, [...(found.get(row) ?? []), name]);
    }
  }
  return found;
}

/** The reference of training configs as Markdown: a section for the keys of every stage, then one for those of some. */
export function configReference({ oneOf }: { readonly oneOf: readonly ValueSchema[] }): string {
  const sections = new Map<string, string[]>([['every stage', []]]);
  for (const [row, stages] of stagesByRow(oneOf)) {
    const title =
      stages.length === oneOf.length ? 'every stage' : `stage ${stages.map((name) => `\`${name}\``).join(' and ')}`;
    sections.set(title, [...(sections.get(title) ?? []), row]);
  }
  const parts = [...sections].map(
    ([title, rows]) => `## Keys of ${title}\n\n| key | value | meaning |\n|---|---|---|\n${rows.join('\n')}\n`,
  );
  return `${intro}\n${parts.join('\n')}`;
}

const intro = `# Config reference

<!-- Written by \`pnpm write:schema\` from the schema that checks configs: change the descriptions there, in apps/cli/src/train/config. -->

Every key of a training config. \`star train <stage> --config <file>\` reads one, and \`--set training.steps=500\` overrides a key by its path. A config with faults is refused with all of them listed. Editors complete and explain the keys of a file that begins with \`"$schema": "./schema.json"\`. [Training](training.md) tells how to choose values.
`;
