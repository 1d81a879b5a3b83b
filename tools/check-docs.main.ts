import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeReference } from '../apps/demo/build/reference.ts';
import { deadLinks, pagesOf, programOf } from './check-docs.ts';

// Checks that every public name has a docstring, that links of the docs lead somewhere and that their TypeScript compiles; with --run it runs the TypeScript, too.
const root = fileURLToPath(new URL('..', import.meta.url));
/** Inside the package that depends on all others, so that the samples find them. */
const folder = join(root, 'apps/cli/.cache/docs');
await writeReference();
const pages = pagesOf(root);

/** Runs a program; true if it succeeds. */
function succeeds(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] }).status === 0;
}

/** Writes the program of each page of the docs; gives their files. READMEs' programs are tests of their packages; the reference has signatures alone. */
function writePrograms(): string[] {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const config = {
    extends: join(root, 'tsconfig.base.json'),
    compilerOptions: {
      composite: false,
      emitDeclarationOnly: false,
      noEmit: true,
      isolatedDeclarations: false,
      types: ['@webgpu/types', 'node'],
    },
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  return pages
    .filter(({ path }) => /^docs\/(?!reference\/)/.test(path))
    .flatMap((page) => {
      const program = programOf(page);
      if (!program) return [];
      const file = join(folder, `${page.path.replace(/^docs\//, '').replaceAll(/[/.]/g, '-')}.ts`);
      writeFileSync(file, program);
      return program.includes("from 'vitest'") ? [] : [file];
    });
}

const dead = deadLinks(root, pages);
for (const fault of dead) console.error(fault);
const files = writePrograms();
let ok = succeeds(join(root, 'node_modules/.bin/tsc'), ['-p', folder]) && dead.length === 0;
if (process.argv.includes('--run'))
  for (const file of files) {
    console.log(`-- ${file}`);
    ok = succeeds(process.execPath, ['--conditions=@star-webgpu/source', '--import', 'tsx', file]) && ok;
  }
process.exit(ok ? 0 : 1);
