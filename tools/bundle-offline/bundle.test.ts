import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { optionsOf } from './options.ts';
import { isNeeded, requirePackage, withDependencies } from './packages.ts';
import { embeddedDriver, nativeParts } from './parts.ts';
import { checkLimit, tableOf } from './report.ts';
import { inWords, requirementsOf } from './requirements.ts';
import { vulkanLoader } from './vulkan-loader.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'star-bundle-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('code, manifests and libraries for Linux x64 with glibc are needed, nothing else is', () => {
  const needed = [
    'webgpu/dist/linux-x64/dawn.node',
    '@lmdb/lmdb-linux-x64/node.napi.glibc.node',
    '@img/sharp-libvips-linux-x64/lib/libvips-cpp.so.8.18.7',
    'sharp/dist/index.mjs',
    'lmdb/node-index.js',
    'koffi/package.json',
  ];
  const not = [
    'webgpu/dist/linux-arm64/dawn.node',
    'webgpu/dist/win32-x64/dawn.node',
    'webgpu/build/build.js',
    '@lmdb/lmdb-linux-x64/node.napi.musl.node',
    '@lmdb/lmdb-linux-x64/node.abi115.glibc.node',
    'lmdb/dist/index.cjs',
    'sharp/dist/index.mjs.map',
    'sharp/lib/index.d.ts',
    'sharp/src/sharp.cc',
    'koffi/doc/index.js',
    'koffi/README.md',
    'one/.cache/index.js',
  ];
  expect([...needed, ...not].filter(isNeeded)).toEqual(needed);
});

it.skipIf(`${process.platform} ${process.arch}` !== 'linux x64')(
  'each part with native code has the libraries of this repository',
  () => {
    const libraries = nativeParts(root).parts.map(({ name, files }) => [
      name,
      files
        .map(({ path }) => basename(path))
        .filter((file) => /\.node$|\.so\./.test(file))
        .map((file) => file.replaceAll(/[.-]\d[\d.]*(?=\.node|$)/g, '')),
    ]);
    expect(Object.fromEntries(libraries)).toEqual({
      webgpu: ['dawn.node'],
      sharp: ['libvips-cpp.so', 'sharp-linux-x64.node'],
      lmdb: ['node.napi.glibc.node', 'node.napi.glibc.node'],
      koffi: ['koffi.node'],
    });
  },
);

/** Installs an empty package below a folder. */
function install(inside: string, name: string, version: string, dependencies: Record<string, string> = {}): string {
  const home = join(inside, 'node_modules', name);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, 'package.json'), JSON.stringify({ version, dependencies }));
  return home;
}

it('two versions of one package are refused, since they are laid out side by side', () => {
  const top = install(folder, 'top', '1.0.0', { left: '*', shared: '*' });
  const left = install(top, 'left', '1.0.0', { shared: '*' });
  install(top, 'shared', '1.0.0');
  expect([...withDependencies(requirePackage('top', folder)).keys()]).toEqual(['top', 'left', 'shared']);
  install(left, 'shared', '2.0.0');
  expect(() => withDependencies(requirePackage('top', folder))).toThrow(
    'bundle-offline: shared must have one version, got 1.0.0 and 2.0.0. Update what depends on the older one.',
  );
});

it('a package that is not installed is refused by name', () => {
  expect(() => requirePackage('not-there', folder)).toThrow(
    'bundle-offline: not-there must be installed, got none. Run npm start once, or pnpm install.',
  );
});

it('a machine must have the newest library versions that any program names', () => {
  const names = (...symbols: string[]): Buffer => Buffer.from(`\0${symbols.join('\0')}\0`);
  const programs = [
    names('GLIBC_2.4', 'GLIBC_2.17', 'GLIBCXX_3.4.9'),
    names('GLIBC_2.2.5', 'GLIBCXX_3.4.30', 'GLIBC_PRIVATE'),
  ];
  expect(requirementsOf(programs)).toEqual({ glibc: '2.17', glibcxx: '3.4.30' });
  expect(inWords(requirementsOf(programs))).toBe('glibc 2.17 and a libstdc++ with GLIBCXX_3.4.30, or newer');
});

const rows = [
  { name: 'node 20.20.2', packed: 33_400_000, unpacked: 86_350_000 },
  { name: 'model', packed: 3_114_000, unpacked: 3_440_000 },
];

it('the table has a line a part and the total, in MB', () => {
  expect(tableOf(rows)).toBe(
    [
      'part          packed MB  unpacked MB',
      'node 20.20.2      33.40        86.35',
      'model              3.11         3.44',
      'total             36.51        89.79',
    ].join('\n'),
  );
});

it('a bundle above the limit is refused with its size', () => {
  expect(() => checkLimit(rows, 37)).not.toThrow();
  expect(() => checkLimit(rows, 36)).toThrow(
    'bundle-offline: the bundle must be smaller than 36 MB, got 36.51 MB. Use --compression xz, a smaller Node, or a larger --limit.',
  );
});

it('options have defaults; wrong ones are refused', () => {
  expect(optionsOf([])).toEqual({
    out: resolve('out/star-offline'),
    node: process.execPath,
    loader: undefined,
    compression: 'gzip',
    withEmoji: false,
    limit: 60,
  });
  expect(optionsOf(['--with-emoji', '--compression', 'xz'])).toMatchObject({
    withEmoji: true,
    compression: 'xz',
    limit: 60,
  });
  expect(optionsOf(['--help'])).toBeUndefined();
  expect(() => optionsOf(['--compression', 'zip'])).toThrow(
    'bundle-offline: --compression must be gzip or xz, got zip. Use gzip for any Linux.',
  );
  expect(() => optionsOf(['--limit', 'small'])).toThrow(
    'bundle-offline: --limit must be a number of MB above 0, got small. Leave it out for the default.',
  );
});

const { archive } = embeddedDriver(root);
const isElf = (file: string): boolean => readFileSync(file).toString('latin1', 1, 4) === 'ELF';

it('the Vulkan loader comes along with the embedded driver', () => {
  const file = vulkanLoader(undefined, archive, folder);
  expect(basename(file)).toBe('libvulkan.so.1');
  expect(isElf(file)).toBe(true);
});

/** A Debian package as Debian describes it: an ar archive with a version, control files and the data. */
function writeDeb(file: string, library: string): void {
  const inside = 'usr/lib/x86_64-linux-gnu/libvulkan.so.1.3.239';
  const data = join(folder, 'data.tar.gz');
  execFileSync('tar', ['-czf', data, '-C', folder, `--transform=s,.*,${inside},`, library]);
  const member = (name: string, bytes: Buffer): Buffer[] => {
    const header = `${name.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}${String(bytes.length).padEnd(10)}\`\n`;
    return [Buffer.from(header), bytes, Buffer.from('\n'.repeat(bytes.length % 2))];
  };
  // The control member has an odd length on purpose: the next one starts behind a byte of padding.
  const members = [
    member('debian-binary', Buffer.from('2.0\n')),
    member('control.tar.gz', Buffer.from('odd')),
    member('data.tar.gz', readFileSync(data)),
  ];
  writeFileSync(file, Buffer.concat([Buffer.from('!<arch>\n'), ...members.flat()]));
}

it('the Vulkan loader may come from a Debian package', () => {
  writeFileSync(join(folder, 'library'), 'the loader');
  writeDeb(join(folder, 'libvulkan1.deb'), 'library');
  const file = vulkanLoader(join(folder, 'libvulkan1.deb'), archive, folder);
  expect([basename(file), readFileSync(file, 'utf8')]).toEqual(['libvulkan.so.1.3.239', 'the loader']);
});

it('something else than a Vulkan loader is refused', () => {
  const file = join(folder, 'words.txt');
  writeFileSync(file, 'words');
  expect(() => vulkanLoader(file, archive, folder)).toThrow(
    `bundle-offline: --vulkan-loader must be a libvulkan.so.1 or a .deb, got ${file}. Name one.`,
  );
});
