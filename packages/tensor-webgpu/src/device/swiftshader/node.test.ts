import { createRequire } from 'node:module';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { embeddedDriver } from './node.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-swiftshader-'));
  vi.stubEnv('XDG_CACHE_HOME', join(folder, 'cache'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** The installed driver as npm lays it out, with no version in its path. */
async function packageOf(version: string): Promise<string> {
  const installed = dirname(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium')));
  const laidOut = join(folder, 'node_modules/@sparticuz/chromium');
  await mkdir(laidOut, { recursive: true });
  await writeFile(join(laidOut, 'package.json'), JSON.stringify({ version }));
  await symlink(join(installed, 'bin'), join(laidOut, 'bin')).catch(() => {});
  return laidOut;
}

it('is unpacked once for each version of its package, wherever that lies', async () => {
  const first = await embeddedDriver(await packageOf('1.2.3'));
  expect(await readdir(first)).toContain('vk_swiftshader_icd.json');
  await writeFile(join(first, 'kept'), '');
  expect(await readdir(await embeddedDriver(await packageOf('1.2.3')))).toContain('kept');
  expect(await readdir(await embeddedDriver(await packageOf('1.2.4')))).not.toContain('kept');
  expect(await readdir(join(folder, 'cache/star-webgpu'))).toEqual(['swiftshader-1.2.3', 'swiftshader-1.2.4']);
});
