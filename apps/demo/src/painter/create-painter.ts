import { BrowserPainter } from './browser-painter.ts';
import type { ModelFolder, Painter } from './painter.ts';
import type { ServedPrompts } from './server-api.ts';

/** True on a page that came from `star serve`, which marks it. */
export const isServed = (): boolean => document.querySelector('meta[name=star-server]') !== null;

/** Draws at the server that the page came from, if that draws; in this browser otherwise, and always with a person's own model. */
export async function createPainter(folder?: ModelFolder): Promise<Painter> {
  if (folder || !isServed()) return new BrowserPainter(folder);
  const { ServerPainter } = await import('./server-painter.ts');
  return new ServerPainter(serverApi);
}

const serverApi = `${import.meta.env.BASE_URL}v1/`;

/** What the server that the page came from can draw, as far as it says. */
export async function servedPrompts(): Promise<readonly string[]> {
  const { askServer } = await import('./server-api.ts');
  const answer = await askServer(`${serverApi}prompts`);
  return ((await answer.json()) as ServedPrompts).prompts;
}
