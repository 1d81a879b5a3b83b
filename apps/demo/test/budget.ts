import { gzipSync } from 'node:zlib';
import type { Browser, Page, Response } from 'playwright-core';

/** What a visit cost a person. */
export interface Budget {
  /** All that came over the network but the model's weights. */
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
  const responses: Response[] = [];
  page.on('response', (response) => responses.push(response));
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
  const parts = responses.filter((response) => !response.url().endsWith('.safetensors'));
  const sizes = await Promise.all(parts.map(async (response) => gzipSync(await response.body()).length));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  return [page, { gzippedKilobytes: bytes / 1000, firstTextSeconds: first / 1000, layoutShift: shift }];
}
