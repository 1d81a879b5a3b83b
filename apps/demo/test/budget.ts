import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';

/** What a visit cost a person. */
export interface Budget {
  /** All that came over the network but the model, of 1024 bytes. */
  readonly gzippedKilobytes: number;
  readonly firstTextSeconds: number;
  /** Cumulative layout shift. */
  readonly layoutShift: number;
}

interface Measures {
  shift: number;
}

/** Opens a page for a visit, and measures it. */
export async function measured(browser: Browser, visit: (page: Page) => Promise<void>): Promise<[Page, Budget]> {
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  const fetched = new Set<string>();
  page.on('request', (request) => fetched.add(request.url()));
  await page.addInitScript(() => {
    const measures: Measures = { shift: 0 };
    Object.assign(globalThis, { measures });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) measures.shift += (entry as PerformanceEntry & { value: number }).value;
    }).observe({ type: 'layout-shift', buffered: true });
  });
  await visit(page);
  const { shift, first } = await page.evaluate(() => ({
    shift: (globalThis as unknown as { measures: Measures }).measures.shift,
    first: performance.getEntriesByName('first-contentful-paint')[0]!.startTime,
  }));
  // The model: weights, configurations and the tokenizer.
  const parts = [...fetched].filter((address) => !/\.(safetensors|json)$/.test(address));
  const sizes = await Promise.all(
    parts.map(async (address) => gzipSync(await (await fetch(address)).arrayBuffer(), { level: 9 }).length),
  );
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  return [page, { gzippedKilobytes: bytes / 1024, firstTextSeconds: first / 1000, layoutShift: shift }];
}
