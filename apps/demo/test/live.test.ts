import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { modelUrl } from '@star-webgpu/model-emoji';
import { loadPipeline } from '@star-webgpu/sampler';
import { testDevice } from '@star-webgpu/tensor-webgpu/testing';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBrowser } from './browser.ts';
import { type Budget, measured } from './budget.ts';
import {
  expectRedrawn,
  lightWord,
  markTop,
  meanDifference,
  openLive,
  overflowOf,
  pixelsOf,
  press,
  stepBack,
  violationsOf,
  waitFor,
} from './live-page.ts';
import { damaged, dropFolder, type Folders, ownFolders } from './model-folders.ts';
import { servedPage } from './served-page.ts';
import { buildSite, serveSite, type Site } from './site.ts';

let site: Site;
let browser: Browser;
/** What Node draws of "pizza" with seed 1. */
let drawnInNode: Uint8Array;

beforeAll(async () => {
  await testDevice();
  const drawing = async (): Promise<void> => {
    const pipeline = await loadPipeline((path) => readFile(fileURLToPath(new URL(path, modelUrl))));
    drawnInNode = (await pipeline.pictures(['pizza'], { seed: 1 })).data;
    pipeline.dispose();
  };
  await Promise.all([drawing(), buildSite()]);
  [site, browser] = await Promise.all([serveSite({ folder: '/any/folder/' }), openBrowser()]);
}, 300_000);

afterAll(async () => {
  await browser?.close();
  await site?.close();
});

/** One visit, so that the model is loaded and its kernels are compiled only once. */
describe('a visit to the live page', () => {
  let page: Page;
  let first: Uint8Array;
  let redrawn: { readonly pixels: Uint8Array; readonly link: string };
  let budget: Budget;
  const seed = (): string => new URL(page.url()).searchParams.getAll('seed').join(',');

  beforeAll(async () => {
    const address = `${site.address}demo.html?prompt=pizza&seed=1`;
    [page, budget] = await measured(browser, address, (visited) => waitFor(visited, /Done/));
    first = await pixelsOf(page);
  }, 120_000);
  afterAll(() => page.close());

  it('draws the picture that Node draws with the same seed, within 2/255', () => {
    expect(meanDifference(first, drawnInNode)).toBeLessThan(2);
  });

  it('is small, quick to show its first text, and does not move while it draws', () => {
    expect(budget.gzippedKilobytes).toBeLessThan(200);
    expect(budget.gzippedKilobytes).toBeGreaterThan(100);
    expect(budget.firstTextSeconds).toBeLessThan(1);
    expect(budget.layoutShift, budget.moved.join('\n')).toBeLessThan(0.005);
  });

  it('fetches all that the model can draw once somebody looks for more', async () => {
    const options = page.locator('#known-prompts option');
    expect(await options.count()).toBeLessThan(20);
    await page.getByLabel('What to draw').focus();
    const list = await readFile(new URL('prompts.txt', modelUrl), 'utf8');
    const all = list.trimEnd().split('\n');
    await options.nth(all.length - 1).waitFor({ state: 'attached' });
    expect(await options.evaluateAll((each) => each.map((one) => (one as HTMLOptionElement).value))).toEqual(all);
  });

  it('shows every scale with its time, the adapter and the speed', async () => {
    const times = page.locator('ol.strip li').filter({ hasText: /\d × \d+\s*\d+\.\d\d s/ });
    expect(await times.count()).toBe(await page.locator('ol.strip li').count());
    await page.getByText(/^\d+ tokens a second on .*swiftshader/i).waitFor();
  });

  it('shows an earlier scale, and where a word acts', async () => {
    await page.getByRole('button', { name: 'Scale of 2 × 2 tokens' }).click();
    expect(meanDifference(await pixelsOf(page), first)).toBeGreaterThan(1);
    await page.getByRole('button', { name: 'Scale of 2 × 2 tokens' }).click();
    expect(await pixelsOf(page)).toEqual(first);
    const opacities = await lightWord(page, 'pizza');
    expect(Math.min(...opacities)).toBe(0);
    expect(Math.max(...opacities)).toBeGreaterThan(200);
  });

  it('keeps the seeds of the gallery in the address, and goes back to a picture without drawing', async () => {
    await page.getByLabel('Seed', { exact: true }).fill('2');
    await press(page, 'Draw');
    expect(seed()).toBe('2,1');
    const second = await pixelsOf(page);
    expect(meanDifference(second, first)).toBeGreaterThan(0);
    await page.getByRole('link', { name: 'pizza seed 1' }).click();
    expect(await pixelsOf(page)).toEqual(first);
    expect(seed()).toBe('1,2');
    expect(await page.getByLabel('Seed', { exact: true }).inputValue()).toBe('1');
    await stepBack(page);
    expect(seed()).toBe('1');
    expect(await pixelsOf(page)).toEqual(first);
    expect(await page.getByRole('link', { name: 'pizza seed 2' }).count()).toBe(1);
  });

  it('draws several pictures, each by its own seed', async () => {
    await page.getByLabel('Pictures').selectOption('2');
    await page.getByLabel('Seed', { exact: true }).fill('20');
    await press(page, 'Draw');
    await page.getByRole('link', { name: 'pizza seed 21' }).waitFor({ timeout: 60_000 });
    expect(seed()).toMatch(/^20,21\b/);
    await page.getByLabel('Pictures').selectOption('1');
  });

  it('redraws what a brush marked and nothing else', async () => {
    await page.getByRole('link', { name: 'pizza seed 1' }).click();
    await page.getByRole('button', { name: 'Redraw a part' }).click();
    const marked = await markTop(page);
    await page.getByLabel('What to draw').fill('red apple');
    await press(page, 'Redraw');
    redrawn = { pixels: await pixelsOf(page), link: page.url() };
    expectRedrawn(redrawn.pixels, first, marked);
  });

  it('varies the finer scales of a picture', async () => {
    await page.getByRole('link', { name: 'pizza seed 1' }).click();
    await page.getByRole('button', { name: 'Scale of 4 × 4 tokens' }).click();
    await press(page, 'Variation');
    await page.getByRole('link', { name: 'pizza varied, seed' }).waitFor();
    expect(new URL(page.url()).searchParams.get('edit')).toMatch(/&keep=4$/);
    const varied = meanDifference(await pixelsOf(page), first);
    expect(varied).toBeGreaterThan(0);
    expect(varied).toBeLessThan(40);
  });

  it('stops when it is told to, by button or key, and draws again', async () => {
    await page.getByLabel('What to draw').fill('grapes');
    await page.getByRole('button', { name: 'Draw', exact: true }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await waitFor(page, /Cancelled/);
    await page.getByLabel('What to draw').press('Enter');
    await waitFor(page, /Drawing/);
    await page.getByLabel('What to draw').press('Escape');
    await waitFor(page, /Cancelled/);
    await press(page, 'Draw');
  });

  it('saves the picture under its prompt and seed', async () => {
    const saving = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download' }).click();
    const saved = await saving;
    expect(saved.suggestedFilename()).toMatch(/^grapes-\d+\.png$/);
    expect((await readFile(await saved.path())).subarray(1, 4).toString()).toBe('PNG');
  });

  it.each(['light', 'dark'] as const)('passes the accessibility rules on a phone, %s', async (scheme) => {
    await page.setViewportSize({ width: 360, height: 740 });
    await page.emulateMedia({ colorScheme: scheme });
    await page.getByRole('button', { name: 'Redraw a part' }).click();
    expect(await violationsOf(page)).toEqual([]);
    expect(await overflowOf(page)).toBe(0);
    await page.getByRole('button', { name: 'Redraw a part' }).click();
  });

  it('draws a link without a network after the first visit, in all of the site', async () => {
    await page.evaluate(async () => void (await navigator.serviceWorker.ready));
    await page.context().setOffline(true);
    await page.goto(redrawn.link);
    await page.getByRole('link', { name: /redrawn/ }).waitFor({ timeout: 100_000 });
    await waitFor(page, /Done/);
    expect(await pixelsOf(page)).toEqual(redrawn.pixels);
    await page.getByRole('link', { name: 'pizza seed 1' }).click();
    expect(await pixelsOf(page)).toEqual(first);
    await page.goto(`${site.address}concepts/sampling.html`);
    const figures = page.locator('main img');
    await figures.first().scrollIntoViewIfNeeded();
    expect(await figures.evaluateAll((all) => all.filter((one) => !(one as HTMLImageElement).naturalWidth))).toEqual(
      [],
    );
    expect(await figures.count()).toBeGreaterThan(0);
    await page.goto(site.address);
    await page.getByRole('button', { name: 'Draw it here' }).waitFor();
  });
});

/** A model of the smallest size, so that its kernels are compiled soon. */
describe('a person’s own model', () => {
  let page: Page;
  let folders: Folders;
  beforeAll(async () => {
    folders = await ownFolders();
    page = await openLive(browser, site.address, { query: '?prompt=pizza&seed=1&model=my+pizzas' });
  });
  afterAll(async () => {
    await page.close();
    await folders.remove();
  });

  it('is asked for where a link was made with it', async () => {
    await waitFor(page, /made with the model folder “my pizzas”/);
  });

  it.each(damaged)('is refused where $what, with the file and what to do', async ({ name, message }) => {
    await dropFolder(page, folders.pathOf(name));
    await page.getByRole('alert').filter({ hasText: message }).waitFor({ timeout: 60_000 });
    await page.getByRole('button', { name: 'Back to the model before' }).waitFor();
  });

  it('draws from a dropped folder, which stays on the machine', async () => {
    const sent: string[] = [];
    page.on('request', (request) => void (request.method() !== 'GET' && sent.push(request.url())));
    await dropFolder(page, folders.pathOf('my pizzas'));
    await waitFor(page, /Done/);
    expect(await page.getByRole('alert').count()).toBe(0);
    expect(new URL(page.url()).searchParams.get('model')).toBe('my pizzas');
    expect(meanDifference(await pixelsOf(page), folders.drawn)).toBeLessThan(2);
    expect(sent).toEqual([]);
  });

  it('is kept for the next visit, with its size, until it is told to be forgotten', async () => {
    await page.getByText(/Kept in this browser: my pizzas, 0\.\d MB/).waitFor();
    await page.reload();
    await waitFor(page, /Done/);
    expect(meanDifference(await pixelsOf(page), folders.drawn)).toBeLessThan(2);
    await page.getByRole('button', { name: 'Forget it' }).click();
    await page.getByText('Kept in this browser').waitFor({ state: 'detached' });
    await page.reload();
    await waitFor(page, /made with the model folder “my pizzas”/);
    const left = await page.evaluate(() =>
      navigator.storage.getDirectory().then((root) =>
        root.getDirectoryHandle('star-webgpu-model').then(
          () => 'a copy',
          (error: Error) => error.name,
        ),
      ),
    );
    expect(left).toBe('NotFoundError');
  });

  it('is chosen in a dialog as well, and left again', async () => {
    await page.locator('input[type=file]').setInputFiles(folders.pathOf('my pizzas'));
    await waitFor(page, /Drawing/);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await waitFor(page, /Cancelled/);
    await page.getByRole('button', { name: 'Leave it' }).click();
    await waitFor(page, /Done/);
    expect(new URL(page.url()).searchParams.get('model')).toBeNull();
  });
});

describe('the page of star serve', () => servedPage(() => drawnInNode));

describe('a page that cannot draw', () => {
  it('names the file that arrives broken, and keeps nothing of it', async () => {
    const broken = await serveSite({ broken: /model.*\.safetensors$/ });
    const page = await openLive(browser, broken.address);
    const alert = page.getByRole('alert');
    await alert.waitFor({ timeout: 60_000 });
    expect(await alert.innerText()).toMatch(/The model could not be loaded[\s\S]*\w+\/model\.safetensors: /);
    expect(await page.evaluate(() => caches.has('star-webgpu-models'))).toBe(false);
    expect(await violationsOf(page)).toEqual([]);
    await page.close();
    await broken.close();
  });

  it.each([
    ['an insecure address', 'star.test', 'This browser has no WebGPU'],
    ['no adapter', '127.0.0.1', 'No graphics adapter was found'],
  ])('says what to do with %s', async (_, host, title) => {
    const plain = await openBrowser({ webgpu: false });
    const page = await openLive(plain, site.address.replace('127.0.0.1', host), { width: 360 });
    const alert = page.getByRole('alert');
    await alert.waitFor({ timeout: 60_000 });
    expect(await alert.innerText()).toContain(title);
    expect(await overflowOf(page)).toBe(0);
    await plain.close();
  });
});

describe('the home page', () => {
  it.each([
    [1200, 'light'],
    [360, 'dark'],
  ] as const)('passes the accessibility rules and fits a window of %i pixels, %s', async (width, colorScheme) => {
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
    await page.goto(site.address);
    await page.getByRole('main').getByRole('button', { name: 'Draw' }).waitFor();
    expect(await violationsOf(page)).toEqual([]);
    expect(await overflowOf(page)).toBe(0);
    await page.close();
  });
});

describe('examples of single packages', () => {
  it.each([
    ['tensor-webgpu', /0 0, 0 1, 1 0, 1 1 -> -?0\.0\d, (0\.9|1\.0)\d, (0\.9|1\.0)\d, -?0\.0\d/, 0],
    ['vqvae', /155 tokens in all, of 2048 codes/, 2],
    ['text-encoder', /1\.00.* {3}red apple/, 0],
    ['star-transformer', /panda: code \d+ \d+\.\d%/, 0],
    ['sampler', /8 x 8 tokens/, 7],
  ])('%s runs in its page', { timeout: 120_000 }, async (name, printed, pictures) => {
    const page = await browser.newPage();
    await page.goto(`${site.address}packages/${name}.html`);
    await page.getByRole('button', { name: 'Run it here' }).click();
    const output = page.locator('.run-example [role=status]');
    await page
      .locator('.run-example [data-state=done], .run-example [data-state=failed]')
      .waitFor({ timeout: 100_000 });
    expect(await output.innerText()).toMatch(printed);
    expect(await output.getAttribute('data-state')).toBe('done');
    expect(await output.locator('canvas').count()).toBe(pictures);
    await page.close();
  });
});

it('the search finds a public name, and leads to its docstring, its error and its source', async () => {
  const page = await browser.newPage({ viewport: { width: 360, height: 740 } });
  await page.goto(site.address);
  await page.getByRole('button', { name: 'Search' }).click();
  await page.locator('.search-input').fill('vqvaeConfig');
  await page.locator('.result', { hasText: 'vqvaeConfig()' }).click();
  await page.waitForURL(/reference\/vqvae\.html#vqvaeconfig/);
  await page.getByText('Fills what is left out with the published values').waitFor();
  expect(await page.getByRole('link', { name: 'VqvaeConfigError', exact: true }).count()).toBeGreaterThan(0);
  const source = page.locator('#vqvaeconfig-1 ~ p small a').first();
  expect(await source.getAttribute('href')).toMatch(/\/packages\/vqvae\/src\/config\.ts#L\d+$/);
  expect(await violationsOf(page)).toEqual([]);
  expect(await overflowOf(page)).toBe(0);
  await page.close();
});
