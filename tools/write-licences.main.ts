// Writes docs/licences.md: pnpm write:licences
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { licencesPage } from './release/licences.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
writeFileSync(new URL('../docs/licences.md', import.meta.url), licencesPage(root));
