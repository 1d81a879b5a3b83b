import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { entriesOf, installPacked, type PackedPackage } from './check-dist.ts';

// Packs every package, lays the tarballs out as an installation, and imports all of it there in plain Node.
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'star-dist-'));

/** What the source of each entry exports, which is what the packed one must export. */
async function namesByEntry(packed: readonly PackedPackage[]): Promise<Record<string, string[]>> {
  const names: Record<string, string[]> = {};
  for (const { folder: home, manifest } of packed)
    for (const { entry, source } of entriesOf(manifest))
      names[entry] = Object.keys((await import(pathToFileURL(join(home, source)).href)) as object);
  return names;
}

/** Runs Node in the installation; true if it succeeds. */
const succeeds = (args: readonly string[]): boolean =>
  spawnSync(process.execPath, args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] }).status === 0;

const packed = installPacked(root, folder);
writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', private: true }));
copyFileSync(join(root, 'tools/check-dist.user.mjs'), join(folder, 'user.mjs'));
const imports = succeeds(['user.mjs', JSON.stringify(await namesByEntry(packed))]);
const commands = packed
  .flatMap(({ manifest }) => Object.values(manifest.bin ?? {}).map((path) => join(manifest.name, path)))
  .every((path) => succeeds([join('node_modules', path), '--help']));
rmSync(folder, { recursive: true, force: true });
process.exit(imports && commands ? 0 : 1);
