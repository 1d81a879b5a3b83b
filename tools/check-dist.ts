import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What a package.json says that a user's import depends on. */
export interface Manifest {
  readonly name: string;
  readonly bin?: Readonly<Record<string, string>>;
  readonly exports?: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** A package of the repository: its folder, and its manifest as it was packed. */
export interface PackedPackage {
  readonly folder: string;
  readonly manifest: Manifest;
}

const sourceCondition = '@star-webgpu/source';

/** What a user may import of a package, with the source file behind it. Files such as package.json are left out. */
export function entriesOf({ name, exports = {} }: Manifest): { readonly entry: string; readonly source: string }[] {
  return Object.entries(exports).flatMap(([path, target]) => {
    const source = typeof target === 'string' ? undefined : target[sourceCondition];
    return source ? [{ entry: join(name, path), source }] : [];
  });
}

/** Packs all packages of the repository into a folder. Gives the files. */
export function packAll(root: string, tarballs: string): string[] {
  mkdirSync(tarballs);
  const groups = ['--filter', './packages/*', '--filter', './apps/cli'];
  const pnpm = join(root, 'node_modules/.bin/pnpm');
  execFileSync(pnpm, ['-r', ...groups, 'pack', '--pack-destination', tarballs], { cwd: root, stdio: 'pipe' });
  return readdirSync(tarballs).map((file) => join(tarballs, file));
}

/** Packs all packages of the repository and lays them out in a folder as an installation; third-party packages are links to ours. */
export function installPacked(root: string, folder: string): PackedPackage[] {
  const packed = packAll(root, join(folder, 'tarballs')).map((file) => unpack(root, folder, file));
  for (const one of packed) linkDependencies(folder, one);
  return packed;
}

/** Puts a tarball's files where an installation has them. */
function unpack(root: string, folder: string, tarball: string): PackedPackage {
  const short = /star-webgpu-(.+)-\d+\.\d+\.\d+\.tgz$/.exec(tarball)![1]!;
  const target = join(folder, 'node_modules/@star-webgpu', short);
  mkdirSync(target, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', target, '--strip-components=1']);
  const manifest = JSON.parse(readFileSync(join(target, 'package.json'), 'utf8')) as Manifest;
  const group = existsSync(join(root, 'packages', short)) ? 'packages' : 'apps';
  return { folder: join(root, group, short), manifest };
}

/** Links what the packed manifest asks for, as the repository has it; what is not there is left to fail on import. */
function linkDependencies(folder: string, { folder: home, manifest }: PackedPackage): void {
  const names = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
  for (const name of names.filter((one) => !one.startsWith('@star-webgpu/'))) {
    const [place, link] = [join(home, 'node_modules', name), join(folder, 'node_modules', name)];
    if (!existsSync(place) || existsSync(link)) continue;
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(realpathSync(place), link, 'junction');
  }
}
