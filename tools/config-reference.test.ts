import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { trainConfigJsonSchema } from '../apps/cli/src/train/config/parse.ts';
import { configReference, keysOf, type ValueSchema, valuesOf } from './config-reference.ts';

const fileOf = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const schema = JSON.parse(trainConfigJsonSchema()) as { readonly oneOf: readonly ValueSchema[] };

describe('the schema of training configs', () => {
  it('is what configs/schema.json holds; pnpm write:schema writes it anew', () => {
    expect(fileOf('configs/schema.json')).toBe(trainConfigJsonSchema());
  });

  it('describes every key', () => {
    const keys = schema.oneOf.flatMap((stage) => keysOf(stage));
    expect(keys.length).toBeGreaterThan(80);
    expect(keys.filter(({ schema: { description } }) => !description?.endsWith('.')).map(({ path }) => path)).toEqual(
      [],
    );
  });
});

describe('the config reference', () => {
  it('is what docs/guide/config.md holds; pnpm write:schema writes it anew', () => {
    expect(fileOf('docs/guide/config.md')).toBe(configReference(schema));
  });

  it('tells the limits, the unit and the default of a key', () => {
    const page = configReference(schema);
    expect(page).toContain('| `training.accumulate` | whole number above 0, in batches; default `1` |');
    expect(page).toContain('| `training.schedule` | string that matches `^(cos\\|exp');
    expect(page).toContain('| `captionDropout` | number from 0 to 1; required |');
  });

  it('names each key once, in the section of its stages', () => {
    const page = configReference(schema);
    expect(page.match(/^\| `data\.packs` /gm)).toHaveLength(1);
    expect(page.indexOf('`captionDropout`')).toBeGreaterThan(page.indexOf('## Keys of stage `star` and `refiner`'));
  });
});

describe('values of a key', () => {
  it.each([
    [{ type: 'integer', exclusiveMinimum: 0, maximum: 64 }, 'whole number above 0, up to 64'],
    [{ type: 'number' }, 'number'],
    [{ type: 'number', maximum: 1 }, 'number up to 1'],
    [{ enum: ['a', 'b'], type: 'string' }, '`a`, `b`'],
    [{ type: 'string', pattern: '^(a|b)$' }, 'string that matches `^(a|b)$`'],
    [{ type: 'array', items: { type: 'string' } }, 'list, may be empty, each: string'],
    [{ anyOf: [{ type: 'boolean' }, { type: 'object' }] }, '`true` or `false`, or object'],
  ] as const)('of %j are %s', (value, words) => {
    expect(valuesOf(value)).toBe(words);
  });
});
