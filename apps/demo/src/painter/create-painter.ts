import { BrowserPainter } from './browser-painter.ts';
import type { ModelFolder, Painter } from './painter.ts';

/** True on a page that came from `star serve`, which marks it. */
export const isServed = (): boolean => document.querySelector('meta[name=star-server]') !== null;

/** Draws at the server that the page came from, if that draws; in this browser otherwise, and always with a person's own model. */
export async function createPainter(folder?: ModelFolder): Promise<Painter> {
  if (folder || !isServed()) return new BrowserPainter(folder);
  const { ServerPainter } = await import('./server-painter.ts');
  return new ServerPainter(`${import.meta.env.BASE_URL}v1/`);
}
