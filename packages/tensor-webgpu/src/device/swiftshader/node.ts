import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress } from 'node:zlib';

/** Folder of the npm package with SwiftShader in it. @throws Error where it is not installed */
const installedPackage = (): string => dirname(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium')));

/**
 * Folder of the unpacked SwiftShader; unpacked once for each version into the user's cache, or a temporary folder where that cannot be written.
 * @throws Error if neither can be written
 */
export async function embeddedDriver(source: string = installedPackage()): Promise<string> {
  const { version } = JSON.parse(await readFile(join(source, 'package.json'), 'utf8')) as { version: string };
  const caches = [process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), tmpdir()];
  for (const cache of caches) {
    const folder = join(cache, 'star-webgpu', `swiftshader-${version}`);
    if (existsSync(folder)) return folder;
    if (await unpack(join(source, 'bin/swiftshader.tar.br'), folder)) return folder;
  }
  throw new Error(`neither ${caches.join(' nor ')} can be written`);
}

/** Unpacks beside the target and renames, so that two processes cannot meet half a driver. False where the folder cannot be written. */
async function unpack(archive: string, folder: string): Promise<boolean> {
  const { extract } = await import('tar-fs');
  try {
    await mkdir(dirname(folder), { recursive: true });
    const temporary = await mkdtemp(`${folder}-`);
    await pipeline(createReadStream(archive), createBrotliDecompress(), extract(temporary));
    await rename(temporary, folder).catch(() => rm(temporary, { recursive: true, force: true }));
    return existsSync(folder);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (['EACCES', 'EROFS', 'ENOSPC', 'EPERM', 'ENOTDIR'].includes(code)) return false;
    throw error;
  }
}
