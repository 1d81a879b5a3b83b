// Writes configs/schema.json and docs/guide/config.md from the schema that checks training configs: pnpm write:schema
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { trainConfigJsonSchema } from '../apps/cli/src/train/config/parse.ts';
import { configReference, type ValueSchema } from './config-reference.ts';

const write = (path: string, text: string): void =>
  writeFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), text);

const schema = trainConfigJsonSchema();
write('configs/schema.json', schema);
write('docs/guide/config.md', configReference(JSON.parse(schema) as { readonly oneOf: readonly ValueSchema[] }));
