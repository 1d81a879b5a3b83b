// Writes configs/schema.json from the schema that checks training configs.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { trainConfigJsonSchema } from '../apps/cli/src/train/config/parse.ts';

writeFileSync(fileURLToPath(new URL('../configs/schema.json', import.meta.url)), trainConfigJsonSchema());
