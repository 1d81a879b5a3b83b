import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openBrowser } from './browser.ts';
import type { page as api } from './tuning-page.ts';

const origin = 'http://localhost';
let browser: Browser;
let script: string;
let page: Page;

/** The page's script as a bundler makes it. */
async function bundle(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'star-page-'));
  const entry = fileURLToPath(new URL('tuning-page.ts', import.meta.url));
  await build({
    configFile: false,
    logLevel: 'error',
    resolve: { conditions: ['@star-webgpu/source'] },
    build: { outDir: folder, target: 'es2022', lib: { entry, formats: ['es'], fileName: 'page' } },
  });
  const text = await readFile(join(folder, 'page.js'), 'utf8');
  await rm(folder, { recursive: true });
  return text;
}

beforeAll(async () => {
  [browser, script] = await Promise.all([openBrowser(), bundle()]);
});
afterAll(() => browser?.close());

beforeEach(async () => {
  const context = await browser.newContext();
  page = await context.newPage();
  await page.route(`${origin}/`, (route) =>
    route.fulfill({ contentType: 'text/html', body: '<script type="module" src="/page.js"></script>' }),
  );
  await page.route(`${origin}/page.js`, (route) => route.fulfill({ contentType: 'text/javascript', body: script }));
  await page.goto(origin);
  return () => context.close();
});

/** Calls one of the page's functions. */
function call<Name extends keyof typeof api>(
  name: Name,
  ...given: Parameters<(typeof api)[Name]>
): Promise<Awaited<ReturnType<(typeof api)[Name]>>> {
  return page.evaluate(
    ([called, values]) => {
      const { page: functions } = globalThis as unknown as { page: Record<string, (...all: unknown[]) => unknown> };
      return functions[called]!(...values);
    },
    [name, given] as const,
  ) as Promise<Awaited<ReturnType<(typeof api)[Name]>>>;
}

/** Replaces every text that this origin keeps. */
const damage = (text: string): Promise<void> =>
  page.evaluate(async (broken) => {
    const opening = indexedDB.open('star-webgpu');
    await new Promise((resolve) => (opening.onsuccess = resolve));
    const transaction = opening.result.transaction('tuning', 'readwrite');
    const texts = transaction.objectStore('tuning');
    texts.openKeyCursor().onsuccess = ({ target }) => {
      const cursor = (target as IDBRequest<IDBCursor | null>).result;
      if (!cursor) return;
      texts.put(broken, cursor.key);
      cursor.continue();
    };
    await new Promise((resolve) => (transaction.oncomplete = resolve));
    opening.result.close();
  }, text);

describe('a tuning table in Chromium', () => {
  it('is measured once, found again after a reload, and grows by what is new', async () => {
    expect(await call('read')).toBeUndefined();
    const first = await call('tuneSides', [66]);
    expect(first.measured).toEqual(['66']);
    await page.reload();
    expect(await call('read')).toEqual({ table: first.table });
    expect(await call('tuneSides', [66])).toEqual({ table: first.table, measured: [] });
    const grown = await call('tuneSides', [66, 300]);
    expect(grown.measured).toEqual(['300']);
    await page.reload();
    expect(await call('read')).toEqual({ table: grown.table });
  });

  it('is put to use when a device is made', async () => {
    const backend = await call('keepAnother');
    expect(await call('pipelinesOf')).not.toContain(`gemm-${backend}`);
    await page.reload();
    expect(await call('pipelinesOf')).toContain(`gemm-${backend}`);
  });

  it.each(['{', '{"version": 0}', '42'])('is left aside and overwritten where it is %s', async (text) => {
    await call('tuneSides', [66]);
    await damage(text);
    await page.reload();
    expect(await call('read')).toEqual({ reason: 'it is no tuning table of version 1' });
    const again = await call('tuneSides', [66]);
    expect(again.measured).toEqual(['66']);
    await page.reload();
    expect(await call('read')).toEqual({ table: again.table });
  });
});
