import { EventSourceParserStream } from 'eventsource-parser/stream';
import type { SamplingDefaults } from '@star-webgpu/sampler';
import { PainterError } from './painter.ts';
import { forgetToken, keptToken } from './token.ts';

/** What `star serve` says of its model. */
export interface ServedModel {
  readonly name: string;
  readonly adapter: string;
  readonly scales: readonly number[];
  readonly codes: number;
  readonly refiner: boolean;
  readonly defaults: SamplingDefaults;
}

/** What a server says that its model can draw. */
export interface ServedPrompts {
  readonly prompts: readonly string[];
}

/** One server-sent event. */
export interface ServerEvent {
  readonly event?: string | undefined;
  readonly data: string;
}

/** Asks a server, with the token that is kept for it. @throws PainterError of the reason `token` or `server`, or the signal's reason */
export async function askServer(address: string, { headers, ...init }: RequestInit = {}): Promise<Response> {
  const token = keptToken();
  const bearer = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await fetch(address, { ...init, headers: { ...headers, ...bearer } }).catch(unreachable);
  if (answer.ok) return answer;
  const fault = await faultOf(answer);
  if (answer.status !== 401) throw new PainterError('server', `${answer.status}: ${fault}`);
  forgetToken();
  throw new PainterError('token', token === undefined ? fault : `The token was wrong. ${fault}`);
}

/** What an answer says is wrong; something between the page and its server may answer in another way. */
async function faultOf(answer: Response): Promise<string> {
  const { error, faults = [] } = (await answer.json().catch(() => ({}))) as { error?: string; faults?: string[] };
  return [error ?? answer.statusText, ...faults].join(' ');
}

/** The events of an answer. @throws PainterError if the connection breaks */
export async function* eventsOf({ body }: Response): AsyncGenerator<ServerEvent> {
  const text = new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>;
  const reader = body!.pipeThrough(text).pipeThrough(new EventSourceParserStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read().catch(unreachable);
    if (done) return;
    yield value;
  }
}

function unreachable(error: Error): never {
  throw new PainterError('server', `No answer: ${error.message}`);
}
