import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { startStar } from './run-star.ts';

/** Starts `star serve` and gives the address that it prints. */
export async function startServing(args: readonly string[]): Promise<[ChildProcessWithoutNullStreams, string]> {
  const child = startStar(['serve', '--port', '0', ...args]);
  child.stderr.resume();
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return [child, line];
}

/** Sends a body as JSON. */
export const ask = (address: string, body: unknown, init: RequestInit = {}): Promise<Response> =>
  fetch(address, {
    method: 'POST',
    body: JSON.stringify(body),
    ...init,
    headers: { 'content-type': 'application/json', ...init.headers },
  });

/** What a drawing is answered with. */
export interface Pictures {
  readonly pictures: readonly { readonly seed: number; readonly width: number; readonly png: string }[];
  readonly notices: readonly string[];
}

/** All server-sent events of an answer. */
export function eventsOf(response: Response): Promise<{ event?: string | undefined; data: string }[]> {
  const events = response.body!.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  return collect(events as unknown as AsyncIterable<{ data: string }>);
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
