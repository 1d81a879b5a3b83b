import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type PackedPart, sha256Of } from './archive.ts';
import type { Compression, PackedNode } from './node-binary.ts';

/** What the start of a bundle has to know of it. */
export interface StartFacts {
  readonly parts: readonly PackedPart[];
  readonly node: Pick<PackedNode, 'file' | 'sha256'>;
  readonly compression: Compression;
  /** What the bundle asks of a machine, in words. */
  readonly needs: string;
  /** An unpacked library that is loaded once, to see whether the machine will do. */
  readonly probe?: string;
}

/** Enough of a SHA-256 that no two bundles share it. */
const idLength = 16;

/** Writes what starts a bundle: the list of its parts, the unpacker, and the launcher, which knows the list's checksum. */
export function writeStart(folder: string, { parts, node, compression, needs, probe }: StartFacts): void {
  const entries = parts.map(({ file, sha256, entries }) => ({ file, sha256, entries }));
  const list = JSON.stringify({ node: node.sha256, needs, probe, parts: entries });
  // Names the unpacked folder, so that another bundle gets another one.
  const id = sha256Of(list).slice(0, idLength);
  writeFileSync(join(folder, 'parts.json'), list);
  copyFileSync(fileURLToPath(new URL('unpack.mjs', import.meta.url)), join(folder, 'unpack.mjs'));
  writeFileSync(join(folder, 'star'), launcherText({ id, node, compression, needs }));
  chmodSync(join(folder, 'star'), 0o755);
}

function launcherText({ id, node, compression, needs }: Omit<StartFacts, 'parts'> & { readonly id: string }): string {
  const facts: Record<string, string> = {
    ID: id,
    NODE_FILE: node.file,
    NODE_SHA256: node.sha256,
    UNPACKER: compression,
    NEEDS: needs,
  };
  const template = readFileSync(new URL('launcher.sh', import.meta.url), 'utf8');
  return template.replaceAll(/@([A-Z_0-9]+)@/g, (_, name: string) => facts[name]!);
}
