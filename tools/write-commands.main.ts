// Writes docs/guide/commands.md from the star program: pnpm write:commands
import { writeFileSync } from 'node:fs';
import { commandNames, createProgram } from '../apps/cli/src/program.ts';
import { commandReference } from './command-reference.ts';

const page = new URL('../docs/guide/commands.md', import.meta.url);
writeFileSync(page, commandReference(await createProgram(commandNames)));
