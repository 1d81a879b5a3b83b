import { join } from 'node:path';
import { run } from './steps.ts';

interface Licensed {
  readonly name: string;
  readonly versions: readonly string[];
  readonly license: string;
}

/** Licences that anyone may use and pass on under, with their notices. */
const permissive =
  /^\(?(MIT|MIT-0|ISC|0BSD|BSD-2-Clause|BSD-3-Clause|Apache-2\.0|BlueOak-1\.0\.0|Unlicense|CC0-1\.0|Python-2\.0|LGPL-3\.0-or-later)( (AND|OR) .+)?\)?$/;

/** Every package that users install with ours, with its licence, as a page. @throws Error naming those whose licence is not known to be fine */
export function licencesPage(root: string): string {
  const pnpm = join(root, 'node_modules/.bin/pnpm');
  const groups = ['--filter', './packages/*', '--filter', './apps/cli'];
  const listed = JSON.parse(run(pnpm, [...groups, 'licenses', 'list', '--prod', '--json'], { cwd: root })) as Readonly<
    Record<string, readonly Licensed[]>
  >;
  const all = Object.values(listed)
    .flat()
    .filter(({ name }) => !name.startsWith('@star-webgpu/'))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const odd = all.filter(({ license }) => !permissive.test(license));
  if (odd.length)
    throw new Error(
      `release: licences must be permissive, got ${odd.map(({ name, license }) => `${name}: ${license}`).join(', ')}. Look at them.`,
    );
  return [head, ...all.map(({ name, license }) => `| ${name} | ${license} |`), ''].join('\n');
}

const head = `# Licences

star-webgpu is under the MIT licence. What comes along:

| data | where | licence |
|---|---|---|
| pictures of the emoji that the model in the box learnt | npm's \`@lobehub/fluent-emoji-3d\`: Fluent Emoji by Microsoft | MIT |
| their names | \`unicode-emoji-json\` | MIT |
| their keywords | \`emojibase-data\` | MIT |
| weights of the model in the box | trained by this repository on the above | MIT |

## Packages that are installed with ours

On Linux for x64, without development; written by \`pnpm write:licences\`, checked by \`pnpm release --dry-run\`. sharp's prebuilt libvips is under the LGPL: it is linked at run time and may be replaced.

| package | licence |
|---|---|`;
