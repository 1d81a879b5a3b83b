import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { run } from './steps.ts';

/** What README examples want beside our packages, by their own words. */
const besides = [
  'webgpu',
  'koffi',
  'tar-fs',
  '@sparticuz/chromium',
  '@types/node@20',
  '@webgpu/types',
  'typescript@5',
  'vite@7',
];

/** An empty project outside of any workspace, with the packed files installed by npm. */
export function createUserProject(folder: string, tarballs: readonly string[]): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...tarballs, ...besides], { cwd: folder });
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  for (const tarball of tarballs)
    if (!Object.values(dependencies).some((place) => place.endsWith(basename(tarball))))
      throw new Error(
        `release: ${basename(tarball)} must be installed from its file, got ${JSON.stringify(dependencies)}.`,
      );
}

/** A Node of a major version, from npm. Gives its binary. */
export function installNode(folder: string, major: number): string {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true }));
  run('npm', ['install', '--no-audit', '--no-fund', `${name}@${major}`], { cwd: folder });
  return join(folder, 'node_modules', name, 'bin/node');
}
