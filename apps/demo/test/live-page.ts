import axe from 'axe-core';
import type { Browser, Locator, Page } from 'playwright-core';
import sharp from 'sharp';
import { expect } from 'vitest';

/** How the live page is opened. */
export interface Opening {
  readonly query?: string;
  readonly width?: number;
  readonly scheme?: 'light' | 'dark';
}

/** Opens the live page of a site in a context of its own: nothing is kept from earlier visits. */
export async function openLive(
  browser: Browser,
  address: string,
  { query = '', width = 1200, scheme = 'light' }: Opening = {},
): Promise<Page> {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme: scheme });
  await page.goto(`${address}demo.html${query}`);
  return page;
}

const statusOf = (page: Page): Locator => page.locator('[data-state]');

/** Waits until the page says so. */
export const waitFor = (page: Page, text: RegExp): Promise<void> =>
  statusOf(page).filter({ hasText: text }).waitFor({ timeout: 100_000 });

/** Draws by a press on the button, and waits for the end. */
export async function press(page: Page, button: string): Promise<void> {
  await page.getByRole('button', { name: button, exact: true }).click();
  await waitFor(page, /Drawing/);
  await waitFor(page, /Done/);
}

/** Marks a stroke over the top of the picture, with a brush that is open, by pointer and by keys. -> 1 for each marked pixel */
export async function markTop(page: Page): Promise<boolean[]> {
  const sheet = page.getByRole('application', { name: 'Brush on the picture' });
  const box = (await sheet.boundingBox())!;
  await page.mouse.move(box.x + box.width * 0.1, box.y + box.height * 0.12);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.9, box.y + box.height * 0.12, { steps: 4 });
  await page.mouse.up();
  await sheet.focus();
  for (const key of ['ArrowDown', 'ArrowDown', ' ', 'ArrowDown', ' ']) await page.keyboard.press(key);
  const marks = await sheet.evaluate((canvas) => [
    ...(canvas as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, 64, 64).data,
  ]);
  return marks.filter((_, i) => i % 4 === 3).map((opacity) => opacity > 0);
}

/** Expects that a good part of the marked pixels changed, and no other. */
export function expectRedrawn(redrawn: Uint8Array, before: Uint8Array, marked: readonly boolean[]): void {
  const changed = [...redrawn.keys()].filter((i) => redrawn[i] !== before[i]).map((i) => Math.floor(i / 3));
  expect(changed.length).toBeGreaterThan(100);
  expect(changed.filter((pixel) => !marked[pixel])).toEqual([]);
}

/** Presses the button of a word, and gives the opacities of the shade over the picture. */
export async function lightWord(page: Page, word: string): Promise<number[]> {
  await page.getByRole('button', { name: word, exact: true }).click();
  const shade = await page
    .locator('canvas.shade')
    .evaluate((canvas) => [...(canvas as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, 64, 64).data]);
  await page.getByRole('button', { name: word, exact: true }).click();
  expect(await page.locator('canvas.shade').count()).toBe(0);
  return shade.filter((_, i) => i % 4 === 3);
}

/** Goes back inside of the page, and waits until it took notice: the address changes before. */
export async function stepBack(page: Page): Promise<void> {
  await page.evaluate(() => {
    const noticed = new Promise<void>((resolve) =>
      addEventListener('popstate', () => setTimeout(resolve), { once: true }),
    );
    Object.assign(globalThis, { noticed });
  });
  await page.goBack();
  await page.evaluate(() => (globalThis as unknown as { noticed: Promise<void> }).noticed);
}

/** RGB bytes of the picture on the easel. */
export async function pixelsOf(page: Page): Promise<Uint8Array> {
  const address = await page
    .locator('canvas.picture')
    .evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL('image/png'));
  return sharp(Buffer.from(address.split(',')[1]!, 'base64'))
    .removeAlpha()
    .raw()
    .toBuffer();
}

export function meanDifference(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;
}

/** What breaks the rules of axe, a line each. */
export async function violationsOf(page: Page): Promise<string[]> {
  await page.addScriptTag({ content: axe.source });
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    return (await axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  });
}

/** How far the page is wider than its window. */
export const overflowOf = (page: Page): Promise<number> =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
