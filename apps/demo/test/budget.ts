import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';

/** What a visit cost a person. */
export interface Budget {
  /** All that came over the network but the model, of 1024 bytes. */
  readonly gzippedKilobytes: number;
  /** The quickest of three openings: the others had to wait for something else on this machine. */
  readonly firstTextSeconds: number;
  /** Cumulative layout shift. */
  readonly layoutShift: number;
  /** What moved by how much, and when. */
  readonly moved: readonly string[];
}

/** A layout shift, and what moved. */
interface Shift {
  value: number;
  what: string;
}

/** What TypeScript's DOM library does not know yet. */
type LayoutShift = PerformanceEntry & { value: number; sources: readonly { node: Node | null }[] };

/** Seconds until the first text of a page is to be seen, in a visit of its own. */
async function firstText(browser: Browser, address: string): Promise<number> {
  const page = await browser.newPage();
  await page.goto(address, { waitUntil: 'commit' });
  const seen = await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
  const milliseconds = (await seen.jsonValue())!;
  await page.close();
  return milliseconds / 1000;
}

/** Opens a page for a visit, and measures it. */
export async function measured(
  browser: Browser,
  address: string,
  visit: (page: Page) => Promise<void>,
): Promise<[Page, Budget]> {
  const waits: number[] = [];
  for (let opening = 0; opening < 3; opening++) waits.push(await firstText(browser, address));
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  const fetched = new Set<string>();
  page.on('request', (request) => fetched.add(request.url()));
  await page.addInitScript(() => {
    const shifts: Shift[] = [];
    Object.assign(globalThis, { shifts });
    new PerformanceObserver((list) => {
      for (const { value, startTime, sources } of list.getEntries() as LayoutShift[]) {
        const moved = sources.map(({ node }) =>
          node instanceof Element ? node.outerHTML.slice(0, 100) : String(node),
        );
        shifts.push({ value, what: `${value.toFixed(5)} after ${Math.round(startTime)} ms: ${moved.join(', ')}` });
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
  await page.goto(address);
  await visit(page);
  const shifts = await page.evaluate(() => (globalThis as unknown as { shifts: Shift[] }).shifts);
  // The model: weights, configurations and the tokenizer.
  const parts = [...fetched].filter((address) => !/\.(safetensors|json)$/.test(address));
  const sizes = await Promise.all(
    parts.map(async (address) => gzipSync(await (await fetch(address)).arrayBuffer(), { level: 9 }).length),
  );
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  return [
    page,
    {
      gzippedKilobytes: bytes / 1024,
      firstTextSeconds: Math.min(...waits),
      layoutShift: shifts.reduce((sum, { value }) => sum + value, 0),
      moved: shifts.map(({ what }) => what),
    },
  ];
}
