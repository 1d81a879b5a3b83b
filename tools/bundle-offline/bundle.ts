import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { packPart, type PackedPart, type Part } from './archive.ts';
import { writeStart } from './launcher.ts';
import { type Compression, nodeLicence, packNode, type PackedNode } from './node-binary.ts';
import type { Installed } from './packages.ts';
import * as contents from './parts.ts';
import { checkLimit, type Row } from './report.ts';
import { inWords, requirementsOf } from './requirements.ts';
import { vulkanLoader } from './vulkan-loader.ts';

/** What to put into a bundle, and where. */
export interface BundleOptions {
  readonly root: string;
  readonly out: string;
  /** A Node binary for Linux x64. */
  readonly node: string;
  /** A libvulkan.so.1 or a .deb with one; the one of the embedded driver's package by default. */
  readonly loader?: string | undefined;
  readonly compression: Compression;
  readonly withEmoji: boolean;
  /** MB of 1,000,000 bytes that the whole folder must stay under. */
  readonly limit: number;
  readonly say: (text: string) => void;
}

/** A bundle that was made: the lines of its table, and what it asks of a machine, in words. */
export interface Bundle {
  readonly rows: readonly Row[];
  readonly node: PackedNode;
  readonly needs: string;
}

interface Staging {
  readonly folder: string;
  readonly temporary: string;
}

/** Builds the command, packs it with Node and its native parts, and puts the folder in place if it is within the limit. */
export async function bundleOffline(options: BundleOptions): Promise<Bundle> {
  checkTarget(options.out);
  mkdirSync(dirname(options.out), { recursive: true });
  const temporary = mkdtempSync(`${options.out}-partial-`);
  try {
    const staging = { temporary, folder: join(temporary, 'bundle') };
    mkdirSync(staging.folder);
    const bundle = await fill(staging, options);
    checkLimit(bundle.rows, options.limit);
    rmSync(options.out, { recursive: true, force: true });
    renameSync(staging.folder, options.out);
    return bundle;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Only an earlier bundle is replaced, never a folder with something else. */
function checkTarget(out: string): void {
  if (!existsSync(out) || existsSync(join(out, 'parts.json')) || readdirSync(out).length === 0) return;
  throw new Error(`bundle-offline: --out must be a new folder or an earlier bundle, got ${out}. Name another one.`);
}

async function fill(staging: Staging, options: BundleOptions): Promise<Bundle> {
  const { root, say } = options;
  say('building the command');
  buildCommand(root);
  const { parts, packages } = await partsOf(staging, options);
  say(`packing ${parts.length} parts and Node`);
  const [packed, node] = await Promise.all([
    Promise.all(parts.map((part) => packPart(staging.folder, part))),
    packNode(options.node, staging.folder, { compression: options.compression, temporary: staging.temporary }),
  ]);
  const needs = inWords(requirementsOf(programsOf(parts, join(staging.temporary, 'node'))));
  writeStart(staging.folder, { parts: packed, node, needs, compression: options.compression, probe: contents.probe });
  writeFileSync(join(staging.folder, 'LICENCES.txt'), licences(options, packages));
  return { rows: rowsOf(staging.folder, packed, node), node, needs };
}

/** Turbo looks for pnpm on the path; ours is among the dependencies. What has not changed is not built again. */
function buildCommand(root: string): void {
  const bin = join(root, 'node_modules/.bin');
  execFileSync(
    join(bin, 'turbo'),
    ['run', 'build', '--output-logs=errors-only', '--no-daemon', '--filter=@star-webgpu/cli...'],
    {
      cwd: root,
      stdio: ['ignore', 2, 2],
      env: { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH']}`, TURBO_TELEMETRY_DISABLED: '1' },
    },
  );
}

async function partsOf(
  { temporary }: Staging,
  { root, loader, withEmoji }: BundleOptions,
): Promise<{ parts: Part[]; packages: Installed[] }> {
  const command = await contents.commandPart(root, temporary);
  const natives = contents.nativeParts(root);
  const { driver, archive } = contents.embeddedDriver(root);
  const source = vulkanLoader(loader, archive, temporary);
  const vulkan: Part = { name: 'vulkan-loader', files: [{ path: 'lib/libvulkan.so.1', source }] };
  const emoji = withEmoji ? contents.emojiPart(root) : undefined;
  return {
    parts: [
      command.part,
      contents.modelPart(root),
      ...natives.parts,
      contents.driverPart(driver),
      vulkan,
      ...(emoji ? [emoji.part] : []),
    ],
    packages: [...contents.bundledPackages(command.inputs), ...natives.packages, driver, ...(emoji?.packages ?? [])],
  };
}

const isProgram = /\.(node|so|so\.[\d.]+)$/;

const programsOf = (parts: readonly Part[], node: string): Buffer[] =>
  [
    node,
    ...parts.flatMap(({ files }) =>
      files.flatMap(({ path, source }) => (source && isProgram.test(path) ? source : [])),
    ),
  ].map((file) => readFileSync(file));

/** Licence texts of this repository, of Node, and of every package that is in the bundle. */
function licences({ root, node }: BundleOptions, packages: readonly Installed[]): string {
  const file = nodeLicence(node);
  const ofNode = file ? readFileSync(file, 'utf8') : 'See https://github.com/nodejs/node/blob/main/LICENSE';
  const own = readFileSync(join(root, 'LICENSE'), 'utf8');
  const line = `\n\n${'-'.repeat(80)}\n\n`;
  return [`star-webgpu\n\n${own}`, `Node.js\n\n${ofNode}`, contents.licencesOf(packages)].join(line);
}

/** Node, the parts, and the small files together, as they lie in the folder. */
function rowsOf(folder: string, packed: readonly PackedPart[], node: PackedNode): Row[] {
  const large = new Set([node.file, ...packed.map(({ file }) => file)]);
  const small = readdirSync(folder).filter((file) => !large.has(file));
  const bytes = small.reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
  return [{ ...node, name: `node ${node.version}` }, ...packed, { name: small.join(', '), packed: bytes, unpacked: 0 }];
}
