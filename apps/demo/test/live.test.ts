import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { modelUrl } from '@star-webgpu/model-emoji';
import { loadPipeline } from '@star-webgpu/sampler';
import { testDevice } from '@star-webgpu/tensor-webgpu/testing';
import axe from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBrowser } from './browser.ts';
import { buildSite, serveSite, type Site } from './site.ts';

let site: Site;
let browser: Browser;

beforeAll(async () => {
  await buildSite();
  [site, browser] = await Promise.all([serveSite(), openBrowser()]);
}, 300_000);

afterAll(async () => {
  await browser?.close();
  await site?.close();
});

/** Opens the live page; nothing is drawn yet. */
async function open(query = '', width = 1200): Promise<Page> {
  const page = await browser.newPage({ viewport: { width, height: 900 } });
  await page.goto(`${site.address}/demo${query}`);
  return page;
}

const waitFor = (page: Page, text: RegExp): Promise<void> =>
  page.getByRole('status').filter({ hasText: text }).waitFor({ timeout: 100_000 });

/** RGB bytes of the large canvas. */
async function pixelsOf(page: Page): Promise<Uint8Array> {
  const address = await page.evaluate(() =>
    document.querySelector<HTMLCanvasElement>('canvas.picture')!.toDataURL('image/png'),
  );
  return sharp(Buffer.from(address.split(',')[1]!, 'base64'))
    .removeAlpha()
    .raw()
    .toBuffer();
}

function meanDifference(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;
}

describe('the live page', () => {
  it('draws the picture that Node draws with the same seed, within 2/255', async () => {
    const page = await open('?prompt=lemon&seed=7');
    await waitFor(page, /Done/);
    const drawn = await pixelsOf(page);
    await page.close();

    await testDevice();
    const pipeline = await loadPipeline((path) => readFile(fileURLToPath(new URL(path, modelUrl))));
    const { data, width } = await pipeline.pictures(['lemon'], { seed: 7 });
    pipeline.dispose();
    expect(drawn.length).toBe(width * width * 3);
    expect(meanDifference(drawn, data)).toBeLessThan(2);
  });

  it('shows every scale with its time, and another seed gives another picture under another link', async () => {
    const page = await open('?prompt=pizza&seed=1');
    await waitFor(page, /Done/);
    const sides = page.getByRole('listitem').filter({ hasText: /\d × \d+\s*\d+\.\d\d s/ });
    expect(await sides.count()).toBe(await page.locator('ol.strip li').count());
    const first = await pixelsOf(page);

    await page.getByLabel('Seed').fill('2');
    await page.getByRole('button', { name: 'Draw' }).click();
    await waitFor(page, /Drawing/);
    await waitFor(page, /Done/);
    expect(meanDifference(await pixelsOf(page), first)).toBeGreaterThan(0);
    expect(new URL(page.url()).search).toBe('?prompt=pizza&seed=2');

    await page.reload();
    await waitFor(page, /Done/);
    expect(await page.getByLabel('Seed').inputValue()).toBe('2');
    await page.close();
  });

  it('stops when it is told to, and draws again', async () => {
    const page = await open('?prompt=grapes');
    await page.getByRole('button', { name: 'Cancel' }).click({ timeout: 60_000 });
    await waitFor(page, /Cancelled/);
    await page.getByRole('button', { name: 'Draw' }).click();
    await waitFor(page, /Done/);
    await page.close();
  });

  it('fits a phone and passes the accessibility rules', async () => {
    const page = await open('', 360);
    await waitFor(page, /Done/);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    await page.addScriptTag({ content: axe.source });
    const violations = await page.evaluate(async () => {
      const { axe } = globalThis as unknown as {
        axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
      };
      return (await axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
    });
    expect(violations).toEqual([]);
    await page.close();
  });

  it('names the file that arrives broken', async () => {
    const broken = await serveSite(/model.*\.safetensors$/);
    const page = await browser.newPage();
    await page.goto(`${broken.address}/demo`);
    const alert = page.getByRole('alert');
    await alert.waitFor({ timeout: 60_000 });
    expect(await alert.innerText()).toMatch(/The model could not be loaded[\s\S]*safetensors/);
    await page.close();
    await broken.close();
  });

  it.each([
    ['an insecure address', 'http://star.test', 'This browser has no WebGPU'],
    ['no adapter', 'http://127.0.0.1', 'No graphics adapter was found'],
  ])('says what to do with %s', async (_, host, title) => {
    const plain = await openBrowser({ webgpu: false });
    const page = await plain.newPage();
    await page.goto(`${host}:${new URL(site.address).port}/demo`);
    const alert = page.getByRole('alert');
    await alert.waitFor({ timeout: 60_000 });
    expect(await alert.innerText()).toContain(title);
    await plain.close();
  });
});
