// Unpacks the parts of an offline bundle beside the Node that runs this, then renames the folder to its final name:
//   node unpack.mjs BUNDLE FOLDER FINAL ID
// Exit code 3: that place cannot be used, another one may; 1: the bundle or this machine will not do.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';

const placeErrors = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EIO', 'ENOTSUP']);

/** A file of the bundle, refused if it is not what was packed. */
async function checked(file, sha256) {
  const bytes = await readFile(file);
  const got = createHash('sha256').update(bytes).digest('hex');
  if (got.startsWith(sha256)) return bytes;
  throw new Error(`${file} must have the checksum ${sha256}, got ${got}. Copy the bundle once more.`);
}

async function write(folder, entry, bytes) {
  const target = join(folder, entry.path);
  await mkdir(dirname(target), { recursive: true });
  if (entry.link) await symlink(entry.link, target);
  else await writeFile(target, bytes, { mode: entry.mode });
}

/** A part is its files one behind the other, compressed. */
async function unpackPart(bundle, folder, { file, sha256, entries }) {
  const bytes = await promisify(brotliDecompress)(await checked(join(bundle, file), sha256));
  let offset = 0;
  for (const entry of entries) await write(folder, entry, bytes.subarray(offset, (offset += entry.bytes)));
}

/** Loads the library that asks most of a machine, so that an old one is told at once and in plain words. */
function probe(folder, { probe: file, needs }) {
  try {
    if (file) process.dlopen({ exports: {} }, join(folder, file));
  } catch (error) {
    throw new Error(`this machine must have ${needs}, got: ${error.message}`, { cause: error });
  }
}

/** Another run may have been faster; its folder is as good. */
async function finish(folder, final) {
  try {
    await rename(folder, final);
  } catch (error) {
    if (!existsSync(join(final, 'node'))) throw error;
    await rm(folder, { recursive: true, force: true });
  }
}

const [bundle, folder, final, id] = process.argv.slice(2);
try {
  const manifest = JSON.parse(String(await checked(join(bundle, 'parts.json'), id)));
  await Promise.all(manifest.parts.map((part) => unpackPart(bundle, folder, part)));
  probe(folder, manifest);
  await finish(folder, final);
} catch (error) {
  process.stderr.write(`star: ${error.message}\n`);
  process.exitCode = placeErrors.has(error.code) ? 3 : 1;
}
