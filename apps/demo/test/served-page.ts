import { readFile } from 'node:fs/promises';
import { modelUrl } from '@star-webgpu/model-emoji';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openBrowser } from './browser.ts';
import {
  expectRedrawn,
  lightWord,
  markTop,
  meanDifference,
  openLive,
  pixelsOf,
  press,
  violationsOf,
  waitFor,
} from './live-page.ts';
import { startServer } from './served.ts';
import type { Site } from './site.ts';

const token = 'abc-123._~';

/** Tests of the page as `star serve` brings it. expected: what Node draws of "pizza" with seed 1. */
export function servedPage(expected: () => Uint8Array): void {
  let server: Site;
  let plain: Browser;
  let page: Page;
  let first: Uint8Array;
  beforeAll(async () => {
    [server, plain] = await Promise.all([startServer(['--token', token]), openBrowser({ webgpu: false })]);
    page = await openLive(plain, server.address, { query: '?prompt=pizza&seed=1&seed=2' });
  });
  afterAll(async () => {
    await plain.close();
    await server.close();
  });

  it('asks for the token, says when it is wrong, and keeps it in the tab only', async () => {
    const alert = page.getByRole('alert');
    await alert.filter({ hasText: 'The server asks for a token' }).waitFor({ timeout: 60_000 });
    expect(await violationsOf(page)).toEqual([]);
    await page.getByRole('textbox', { name: 'Token' }).fill('guessed');
    await page.getByRole('textbox', { name: 'Token' }).press('Enter');
    await alert.filter({ hasText: 'The token was wrong' }).waitFor();
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
    await page.getByRole('textbox', { name: 'Token' }).fill(token);
    await page.getByRole('button', { name: 'Send' }).click();
    await page.getByRole('link', { name: 'pizza seed 2' }).waitFor({ timeout: 60_000 });
    await waitFor(page, /Done/);
    const { kept, stored } = await page.evaluate(() => ({
      kept: Object.values(sessionStorage),
      stored: document.cookie + JSON.stringify(localStorage),
    }));
    expect(kept).toEqual([token]);
    expect(stored + page.url()).not.toContain(token);
  });

  it('suggests what the server’s model can draw', async () => {
    const list = await readFile(new URL('prompts.txt', modelUrl), 'utf8');
    const all = list.trimEnd().split('\n');
    await page
      .locator('#known-prompts option')
      .nth(all.length - 1)
      .waitFor({ state: 'attached' });
    expect(await page.locator('#known-prompts option').count()).toBe(all.length);
  });

  it('draws at its server, where the browser has no WebGPU too', async () => {
    await page.reload();
    await page.getByRole('link', { name: 'pizza seed 2' }).waitFor({ timeout: 60_000 });
    await page.getByRole('link', { name: 'pizza seed 1' }).click();
    first = await pixelsOf(page);
    expect(meanDifference(first, expected())).toBeLessThan(2);
    await page.getByText(/^\d+ tokens a second on the server’s /).waitFor();
  });

  it('shows there where a word acts, redraws a part and varies a picture', async () => {
    const opacities = await lightWord(page, 'pizza');
    expect([Math.min(...opacities), Math.max(...opacities) > 200]).toEqual([0, true]);
    await page.getByRole('button', { name: 'Redraw a part' }).click();
    const marked = await markTop(page);
    await press(page, 'Redraw');
    expectRedrawn(await pixelsOf(page), first, marked);
    await press(page, 'Variation');
    await page.getByRole('link', { name: 'pizza varied, seed' }).waitFor();
  });

  it('says how many are drawn before it', async () => {
    const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
      fetch(`${server.address}v1/${path}`, {
        ...init,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      });
    const others = ask('images', { method: 'POST', body: JSON.stringify({ prompt: 'pizza', count: 4 }) });
    await expect.poll(async () => (await ask('health')).json()).toMatchObject({ drawing: true });
    await page.getByRole('button', { name: 'Another' }).click();
    await waitFor(page, /Waiting at the server: one drawing before this one/);
    await waitFor(page, /Done/);
    expect((await others).status).toBe(200);
  });

  it('stops there when it is told to', async () => {
    // One picture may be done before a hand is at the button.
    await page.getByLabel('Pictures').selectOption('8');
    await page.getByRole('button', { name: 'Draw', exact: true }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await waitFor(page, /Cancelled/);
  });
}
