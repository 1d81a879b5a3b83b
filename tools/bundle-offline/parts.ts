import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { build } from 'tsup';
import type { Part } from './archive.ts';
import { filesOf, type Installed, modulesFolder, requirePackage, withDependencies } from './packages.ts';

/** Packages with native parts; they are laid out as installed, everything else is in the command's own file. */
const natives = {
  webgpu: 'packages/tensor-webgpu',
  sharp: 'apps/cli',
  lmdb: 'packages/data-lmdb',
  koffi: 'packages/tensor-webgpu',
} as const;

/** The library that asks most of the machine. */
export const probe: string = join(modulesFolder, 'webgpu/dist/linux-x64/dawn.node');

const driverPackage = '@sparticuz/chromium';

/** The command of the repository as one file beside the manifest with its version, and the paths of the files that it is from; `temporary` is a folder to write into. */
export async function commandPart(root: string, temporary: string): Promise<{ part: Part; inputs: string[] }> {
  const outDir = join(temporary, 'command');
  const apart = [...Object.keys(natives), driverPackage];
  await build({
    config: false,
    silent: true,
    metafile: true,
    entry: { main: join(root, 'apps/cli/dist/main.js') },
    outDir,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    splitting: false,
    external: apart,
    noExternal: [new RegExp(`^(?!node:|(${apart.join('|')})(/|$))`)],
    // Packages in CommonJS ask for Node's own modules by require.
    banner: {
      js: "import { createRequire as starRequire } from 'node:module'; const require = starRequire(import.meta.url);",
    },
  });
  const inputs = inputsOf(join(outDir, 'metafile-esm.json'));
  const manifest = join(outDir, 'package.json');
  writeFileSync(manifest, '{ "type": "module", "private": true }\n');
  const files = [join(outDir, 'main.js'), manifest].map((source) => ({ path: join('app', basename(source)), source }));
  const versioned = { path: 'package.json', source: join(root, 'apps/cli/package.json') };
  return { part: { name: 'command', files: [...files, versioned] }, inputs };
}

interface Metafile {
  readonly outputs: Readonly<Record<string, { readonly inputs: Readonly<Record<string, { bytesInOutput: number }>> }>>;
}

/** Paths of the files that code in the output is from, as esbuild noted them; what was read but not used is not among them. */
function inputsOf(metafile: string): string[] {
  const { outputs } = JSON.parse(readFileSync(metafile, 'utf8')) as Metafile;
  return Object.values(outputs)
    .flatMap(({ inputs }) => Object.entries(inputs))
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .map(([file]) => resolve(file));
}

/** The emoji model, where the command looks for it: beside its own folder. */
export function modelPart(root: string): Part {
  const folder = join(root, 'packages/model-emoji/model');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((source) => ({ path: join('model', relative(folder, source)), source }));
  return { name: 'model', files };
}

/** One part for each package with native code, and the packages themselves. What two of them share is in the first. */
export function nativeParts(root: string): { parts: Part[]; packages: Installed[] } {
  const packages = new Map<string, Installed>();
  const parts = Object.entries(natives).map(([name, user]) => {
    const all = [...withDependencies(requirePackage(name, join(root, user))).values()];
    const fresh = all.filter((one) => !packages.has(one.name));
    for (const one of fresh) packages.set(one.name, one);
    return { name, files: fresh.flatMap((one) => filesOf(one)) };
  });
  return { parts, packages: [...packages.values()] };
}

/** The package with the embedded driver, and where its archive lies. */
export function embeddedDriver(root: string): { driver: Installed; archive: string } {
  const driver = requirePackage(driverPackage, join(root, 'apps/cli'));
  return { driver, archive: join(driver.folder, 'bin/swiftshader.tar.br') };
}

/** The driver's archive where tensor-webgpu looks for it, with the manifest whose version the unpacked driver is named after. */
export function driverPart(driver: Installed): Part {
  const only = (path: string): boolean => /\/(package\.json|build\/index\.js|bin\/swiftshader\.tar\.br)$/.test(path);
  return { name: 'swiftshader', files: filesOf(driver, only) };
}

/** The emoji data set that `star pack emoji` reads. */
export function emojiPart(root: string): { part: Part; packages: Installed[] } {
  const wanted = {
    '@lobehub/fluent-emoji-3d': /\/(package\.json|assets\/[^/]+\.webp)$/,
    'unicode-emoji-json': /\/(package|data-by-emoji)\.json$/,
    'emojibase-data': /^emojibase-data\/(package|en\/data)\.json$/,
  };
  const packages = Object.keys(wanted).map((name) => requirePackage(name, join(root, 'apps/cli')));
  const files = packages.flatMap((one) => filesOf(one, (path) => wanted[one.name as keyof typeof wanted].test(path)));
  return { part: { name: 'emoji', files }, packages };
}

/** The packages whose code went into the command's file, from the paths of the files that it is from. */
export function bundledPackages(inputs: readonly string[]): Installed[] {
  const found = new Map<string, Installed>();
  for (const input of inputs) {
    const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    if (name && !found.has(name)) found.set(name, requirePackage(name, dirname(input)));
  }
  return [...found.values()];
}

const licenceFile = /^(licen[cs]e|copying|notice|third-party-notices)/i;

/** The licence texts of packages, one after the other. */
export function licencesOf(packages: readonly Installed[]): string {
  return packages
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, version, folder }) => {
      const texts = readdirSync(folder)
        .filter((file) => licenceFile.test(file))
        .map((file) => readFileSync(join(folder, file), 'utf8'));
      const { license = 'not stated' } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
        license?: string;
      };
      return [`${name} ${version} (${license})`, ...texts].join('\n\n');
    })
    .join(`\n\n${'-'.repeat(80)}\n\n`);
}
