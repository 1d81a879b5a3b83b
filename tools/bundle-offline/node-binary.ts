import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { sha256Of } from './archive.ts';

/** Programs that unpack Node on the target, where Node itself cannot yet: gzip is on every Linux, xz packs tighter. */
export type Compression = 'gzip' | 'xz';

/** Node in the bundle. Sizes in bytes; `saved` is what stripping took off. */
export interface PackedNode {
  readonly file: string;
  readonly sha256: string;
  readonly packed: number;
  readonly unpacked: number;
  readonly saved: number;
  readonly version: string;
}

/** Copies a Node binary without its symbol table where binutils are there; gives the bytes that this saved. */
function strippedCopy(node: string, copy: string): number {
  copyFileSync(node, copy);
  try {
    execFileSync('strip', [copy], { stdio: 'pipe' });
  } catch {
    copyFileSync(node, copy);
  }
  return statSync(node).size - statSync(copy).size;
}

const compress: Readonly<Record<Compression, (source: string) => Promise<Buffer>>> = {
  gzip: (source) => promisify(gzip)(readFileSync(source), { level: 9 }),
  xz: async (source) => execFileSync('xz', ['-9e', '-c', '-k', source], { maxBuffer: 1 << 30 }),
};

const suffixes: Readonly<Record<Compression, string>> = { gzip: 'gz', xz: 'xz' };

/** Puts a Node binary for Linux x64 into a bundle's folder. @throws if it is for another machine or does not run. */
export async function packNode(
  node: string,
  folder: string,
  options: { readonly compression: Compression; readonly temporary: string },
): Promise<PackedNode> {
  const copy = join(options.temporary, 'node');
  const saved = strippedCopy(realpathSync(node), copy);
  const version = checkedVersion(copy, node);
  const packed = await compress[options.compression](copy);
  const file = `node.${suffixes[options.compression]}`;
  writeFileSync(join(folder, file), packed);
  const bytes = readFileSync(copy);
  return { file, sha256: sha256Of(bytes), packed: packed.length, unpacked: bytes.length, saved, version };
}

const describeHost = 'console.log(`${process.platform}-${process.arch} ${process.versions.node}`)';

function checkedVersion(copy: string, node: string): string {
  const said = execFileSync(copy, ['-e', describeHost], { encoding: 'utf8' }).trim();
  const [host, version] = said.split(' ');
  if (host === 'linux-x64') return version!;
  throw new Error(`bundle-offline: --node must be a Node for linux-x64, got ${node} for ${host}. Name one that is.`);
}

/** Node's licence, where its packages put it. */
export function nodeLicence(node: string): string | undefined {
  const bin = dirname(realpathSync(node));
  return [join(bin, '../LICENSE'), join(bin, '../share/doc/nodejs/LICENSE'), join(bin, '../../LICENSE')].find((file) =>
    existsSync(file),
  );
}
