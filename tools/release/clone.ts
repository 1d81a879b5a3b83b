import { delimiter, join } from 'node:path';
import { run } from './steps.ts';

/** What turbo and pnpm find on their path, and what keeps them from asking. */
const environmentIn = (folder: string): Readonly<Record<string, string>> => ({
  PATH: `${join(folder, 'node_modules/.bin')}${delimiter}${process.env['PATH']}`,
  CI: 'true',
  TURBO_TELEMETRY_DISABLED: '1',
});

/** A repository of the last commit with everything installed; nothing of the working tree is touched. */
export function cloneRepository(root: string, folder: string): void {
  run('git', ['clone', '--quiet', '--local', root, folder], { cwd: root });
  const pnpm = join(root, 'node_modules/.bin/pnpm');
  run(pnpm, ['install', '--frozen-lockfile', '--prefer-offline'], { cwd: folder, environment: environmentIn(folder) });
}

/** Uses up the changesets: new versions, and changelogs. Gives what they say. */
export function bumpVersions(folder: string): string {
  const inFolder = { cwd: folder, environment: environmentIn(folder) };
  run(join(folder, 'node_modules/.bin/changeset'), ['version'], inFolder);
  // Manifests changed, so what they link to is laid out anew.
  run(join(folder, 'node_modules/.bin/pnpm'), ['install', '--no-frozen-lockfile', '--prefer-offline'], inFolder);
  // Changelogs may be new.
  run('git', ['add', '--all'], { cwd: folder });
  return run('git', ['diff', '--cached', '--stat', '--', '*/package.json', '*/CHANGELOG.md'], { cwd: folder });
}

/** Builds everything that is published. */
export function build(folder: string): void {
  const args = [
    'run',
    'build',
    '--output-logs=errors-only',
    '--no-daemon',
    '--filter=./packages/*',
    '--filter=./apps/cli',
  ];
  run(join(folder, 'node_modules/.bin/turbo'), args, { cwd: folder, environment: environmentIn(folder) });
}

/** Compares sizes with their budgets. Gives the table. */
export const checkSizes = (folder: string): string =>
  run(join(folder, 'node_modules/.bin/size-limit'), [], { cwd: folder, environment: environmentIn(folder) });
