import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { AdapterError, openGpu, throttledWait } from './node.ts';

const cache = mkdtempSync(join(tmpdir(), 'star-cache-'));
afterAll(() => rmSync(cache, { recursive: true, force: true }));

/** Opens an adapter in a process of its own, does a sum on it, and prints what it was; the process has to end by itself. */
const program = `
import { openGpu, throttledWait } from './src/device/node.ts';
import { createDevice, setDevice, sum, tensor } from './src/index.ts';
const { adapter, kind, close } = await openGpu();
const device = await createDevice(adapter, { wait: throttledWait, onDestroy: close });
setDevice(device);
console.log(kind, await sum(tensor([1, 2, 4], [3])).item());
device.destroy();
`;

function runWith(environment: Readonly<Record<string, string>>): string {
  const args = ['--conditions=@star-webgpu/source', '--import', 'tsx', '--input-type=module', '--eval', program];
  const cwd = new URL('../..', import.meta.url);
  return execFileSync(process.execPath, args, {
    cwd,
    env: { ...process.env, XDG_CACHE_HOME: cache, ...environment },
    encoding: 'utf8',
    timeout: 90_000,
  }).trim();
}

describe('openGpu', () => {
  it('falls back to the embedded adapter where the drivers of this machine cannot be had', () => {
    expect(runWith({ VK_DRIVER_FILES: join(cache, 'nowhere.json'), STAR_ADAPTER: '' })).toBe('swiftshader 7');
  });

  it('uses the embedded adapter when asked for, unpacked once', () => {
    expect(runWith({ STAR_ADAPTER: 'swiftshader' })).toBe('swiftshader 7');
  });

  it('finds an installed adapter by a part of its name', async () => {
    const { adapter, close } = await openGpu();
    const { device } = adapter.info;
    close();
    const named = await openGpu({ adapter: device.slice(0, 5) });
    expect(named.adapter.info.device).toBe(device);
    named.close();
  });

  it('says what was tried when nothing suits', async () => {
    const opening = openGpu({ adapter: 'no such adapter' });
    await expect(opening).rejects.toThrow(AdapterError);
    await expect(opening).rejects.toThrow(/adapter "no such adapter" must exist, got .+; swiftshader \(.+\)\. Set/);
  });

  it('waits for what fails, too', async () => {
    await expect(throttledWait(Promise.reject(new Error('lost')))).rejects.toThrow('lost');
    expect(await throttledWait(Promise.resolve(3))).toBe(3);
  });
});
