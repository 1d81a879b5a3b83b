import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

const fileName = /^libvulkan\.so\.1(\.[\d.]+)?$/;
const debMagic = '!<arch>\n';

/**
 * A Vulkan loader as a file: the given one, the one inside a given Debian package, or the one that comes with the
 * embedded driver (`archive`, a brotli-compressed tar). `temporary` is a folder to unpack into.
 */
export function vulkanLoader(given: string | undefined, archive: string, temporary: string): string {
  const folder = join(temporary, 'vulkan-loader');
  mkdirSync(folder);
  if (given === undefined) return unpackTar(brotliDecompressSync(readFileSync(archive)), folder);
  const bytes = readFileSync(given);
  if (bytes.toString('latin1', 0, debMagic.length) === debMagic) return unpackTar(dataOfDeb(bytes, given), folder);
  if (bytes.toString('latin1', 1, 4) === 'ELF') return realpathSync(given);
  throw new Error(`bundle-offline: --vulkan-loader must be a libvulkan.so.1 or a .deb, got ${given}. Name one.`);
}

/** Unpacks a tar, compressed in any way that the tar command knows, and finds the loader in it. */
function unpackTar(tar: Uint8Array, folder: string): string {
  const file = join(folder, 'archive.tar');
  writeFileSync(file, tar);
  execFileSync('tar', ['-xf', file, '-C', folder, '--no-same-owner']);
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).find(
    (entry) => entry.isFile() && fileName.test(entry.name),
  );
  if (found) return join(found.parentPath, found.name);
  throw new Error(
    'bundle-offline: --vulkan-loader must hold a libvulkan.so.1, got an archive without one. Use the package libvulkan1.',
  );
}

/** The member data.tar.* of a Debian package: an ar archive, each member behind a header of 60 bytes, at even offsets. */
function dataOfDeb(bytes: Buffer, name: string): Buffer {
  for (let at = debMagic.length; at + 60 <= bytes.length;) {
    const size = Number(bytes.toString('latin1', at + 48, at + 58));
    if (bytes.toString('latin1', at, at + 16).startsWith('data.tar')) return bytes.subarray(at + 60, at + 60 + size);
    at += 60 + size + (size % 2);
  }
  throw new Error(
    `bundle-offline: --vulkan-loader must be a Debian package, got ${name} without data. Fetch it once more.`,
  );
}
