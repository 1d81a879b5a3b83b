import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { PackFile } from './archive.ts';

/** A third-party package as it is installed. */
export interface Installed {
  readonly name: string;
  readonly version: string;
  readonly folder: string;
}

interface Manifest {
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Where modules of the command are looked for once unpacked. */
export const modulesFolder = 'app/node_modules';

const manifestOf = (folder: string): Manifest => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

/** The package that an import from a folder would find, as Node looks for it: upwards through node_modules. */
function findPackage(name: string, from: string): Installed | undefined {
  for (let place = realpathSync(from); place !== dirname(place); place = dirname(place)) {
    const folder = join(place, 'node_modules', name);
    if (!existsSync(join(folder, 'package.json'))) continue;
    return { name, version: manifestOf(folder).version, folder: realpathSync(folder) };
  }
  return undefined;
}

/** The package that an import from a folder would find. @throws if there is none. */
export function requirePackage(name: string, from: string): Installed {
  const found = findPackage(name, from);
  if (found) return found;
  throw new Error(`bundle-offline: ${name} must be installed, got none. Run npm start once, or pnpm install.`);
}

/** A package with all that it depends on, by name. Optional packages of other platforms are not installed and left out. */
export function withDependencies(root: Installed): Map<string, Installed> {
  const found = new Map([[root.name, root]]);
  for (const one of found.values())
    for (const dependency of dependenciesOf(one)) {
      const known = found.get(dependency.name);
      if (known && known.version !== dependency.version) throw twoVersions(known, dependency);
      found.set(dependency.name, dependency);
    }
  return found;
}

/** Headers and types for compiling; nothing of them runs. */
const notNeeded = new Set(['node-addon-api', '@webgpu/types']);

function dependenciesOf({ folder }: Installed): Installed[] {
  const { dependencies = {}, optionalDependencies = {} } = manifestOf(folder);
  const optional = Object.keys(optionalDependencies).flatMap((name) => findPackage(name, folder) ?? []);
  const needed = Object.keys(dependencies).filter((name) => !notNeeded.has(name) && !(name in optionalDependencies));
  return [...needed.map((name) => requirePackage(name, folder)), ...optional];
}

function twoVersions(one: Installed, other: Installed): Error {
  return new Error(
    `bundle-offline: ${one.name} must have one version, got ${one.version} and ${other.version}. Update what depends on the older one.`,
  );
}

const runs = /\.(js|mjs|cjs|json|node|so|so\.[\d.]+)$/;
const idle =
  /(^|\/)(\.[^/]+|benchmarks?|bin|build|docs?|examples?|install|scripts|tests?|vendor|cnoke\.cjs|rollup\.config\.js)(\/|$)/;
const foreign = /musl|android|darwin|win32|freebsd|linux-(arm|ia32|ppc|riscv|s390|loong)|\.abi\d+\./;
/** CommonJS copies, which the command, an ES module, never loads. */
const copies = /^(lmdb|msgpackr|ordered-binary|weak-lru-cache)\/dist\//;

/** Whether a file of a package (PACKAGE/path) is needed to run it on Linux x64 with glibc. */
export const isNeeded = (path: string): boolean =>
  runs.test(path) && ![idle, foreign, copies].some((pattern) => pattern.test(path));

/** The files of a package that are needed, or those that `only` takes; paths as unpacked. */
export function filesOf({ name, folder }: Installed, only: (path: string) => boolean = isNeeded): PackFile[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((source) => !relative(folder, source).startsWith('node_modules'))
    .map((source) => ({ source, inside: join(name, relative(folder, source)) }))
    .filter(({ inside }) => only(inside))
    .map(({ source, inside }) => ({ path: join(modulesFolder, inside), source }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
}
