import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { modelUrl } from '@star-webgpu/model-emoji';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runStar } from './testing/run-star.ts';
import { ask, collect, eventsOf, type Pictures, startServing } from './testing/serving.ts';

let server: ChildProcessWithoutNullStreams;
let address: string;

beforeAll(async () => {
  [server, address] = await startServing(['--queue', '60']);
}, 120_000);

afterAll(() => void server.kill('SIGKILL'));

const post = (body: unknown, init: RequestInit = {}, at = address): Promise<Response> =>
  ask(`${at}/v1/images`, body, init);

const health = async (): Promise<{ waiting: number; drawing: boolean }> =>
  (await (await fetch(`${address}/v1/health`)).json()) as { waiting: number; drawing: boolean };

/** Waits until nothing is drawn and nobody waits; a drawing of nobody would keep it busy. */
async function idle(): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const { waiting, drawing } = await health();
    if (!waiting && !drawing) return;
    await sleep(50);
  }
  throw new Error('the server stays busy');
}

describe('star serve', () => {
  it('draws pictures, the same from the same seed', async () => {
    const answers = await Promise.all(
      [0, 1].map(async () => (await (await post({ prompt: 'red apple', seed: 7, count: 2 })).json()) as Pictures),
    );
    expect(answers[0]!.pictures).toEqual(answers[1]!.pictures);
    expect(answers[0]!.pictures.map(({ seed }) => seed)).toEqual([7, 8]);
    const { width, height, format } = await sharp(Buffer.from(answers[0]!.pictures[0]!.png, 'base64')).metadata();
    expect([width, height, format]).toEqual([64, 64, 'png']);
  });

  it('sends every scale as it is drawn, then the picture that a plain answer has', async () => {
    const order = { prompt: 'lemon', seed: 3 };
    const plain = (await (await post(order)).json()) as Pictures;
    const response = await post({ ...order, stream: true });
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events = (await eventsOf(response)).filter(({ event }) => event !== 'waiting');
    expect(events.map(({ event }) => event)).toEqual([...Array<string>(7).fill('scale'), 'finished']);
    const last = JSON.parse(events.at(-1)!.data) as Pictures;
    expect(last.pictures).toEqual(plain.pictures);
    expect((JSON.parse(events[6]!.data) as { pictures: string[] }).pictures).toEqual([plain.pictures[0]!.png]);
  });

  it('says what of a long prompt is not seen, and draws an empty one', async () => {
    const long = (await (await post({ prompt: 'red apple '.repeat(40) })).json()) as Pictures;
    expect(long.notices[0]).toMatch(/longer than 24 tokens; not seen: /);
    expect(((await (await post({ prompt: '' })).json()) as Pictures).pictures).toHaveLength(1);
  });

  it.each([
    [{ prompt: 1 }, 'prompt: '],
    [{}, 'prompt: '],
    [{ prompt: 'a', count: 5 }, 'count: '],
    [{ prompt: 'a', path: '/etc/passwd' }, 'path'],
    [{ prompt: 'a'.repeat(2001) }, 'prompt: '],
    [{ prompt: 'a', guidance: [1, 2] }, '2 numbers of guidance'],
    [{ prompt: 'a', refine: true }, 'no refiner'],
    [{ prompt: 'a', seed: -1 }, 'seed: '],
  ])('names the fault of %j', async (body, fault) => {
    const response = await post(body);
    const { faults } = (await response.json()) as { faults: string[] };
    expect(response.status).toBe(400);
    expect(faults.join('\n')).toContain(fault);
  });

  it('refuses what is no JSON, what is too large and what pages of other origins may send unasked', async () => {
    const refused = [
      await post(undefined, { body: '{"prompt":' }),
      await post(undefined, { body: 'x'.repeat(65_537) }),
      await post(undefined, { body: '{"prompt":"a"}', headers: { 'content-type': 'text/plain' } }),
      await post({ prompt: 'a' }, { headers: { origin: 'https://evil.example' } }),
      await fetch(`${address}/v1/images`),
    ];
    expect(refused.map(({ status }) => status)).toEqual([400, 413, 415, 403, 404]);
  });

  it('answers nothing for paths outside of the site, however they are written', async () => {
    const { hostname, port } = new URL(address);
    for (const path of [
      '/../package.json',
      '/%2e%2e/%2e%2e/etc/passwd',
      '//etc/passwd',
      '/..%5c..%5cetc',
      '/%00',
      '/%',
    ]) {
      const socket = connect(Number(port), hostname);
      socket.end(`GET ${path} HTTP/1.1\r\nhost: ${hostname}:${port}\r\nconnection: close\r\n\r\n`);
      const text = Buffer.concat(await collect(socket as AsyncIterable<Buffer>)).toString();
      expect(text, path).toMatch(/^HTTP\/1\.1 40[04] /);
      expect(text, path).not.toContain('root:');
    }
  });

  it('turns away requests to a name that was made to point here', async () => {
    const { hostname, port } = new URL(address);
    const socket = connect(Number(port), hostname);
    socket.end('GET /v1/model HTTP/1.1\r\nhost: rebound.example\r\nconnection: close\r\n\r\n');
    expect(Buffer.concat(await collect(socket as AsyncIterable<Buffer>)).toString()).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('describes itself', async () => {
    const { openapi, paths } = (await (await fetch(`${address}/v1/openapi.json`)).json()) as {
      openapi: string;
      paths: Record<string, Record<string, { responses: object }>>;
    };
    const known = ['/v1/model', '/v1/prompts', '/v1/health', '/v1/images', '/v1/edits'];
    expect([openapi, ...Object.keys(paths)]).toEqual(['3.1.0', ...known]);
    for (const path of ['/v1/images', '/v1/edits'])
      expect(Object.keys(paths[path]!['post']!.responses)).toEqual(['200', '400', '401', '403', '413', '415', '503']);
    const model = (await (await fetch(`${address}/v1/model`)).json()) as { scales: number[]; refiner: boolean };
    expect([model.scales, model.refiner]).toEqual([[1, 2, 3, 4, 5, 6, 8], false]);
    const { prompts } = (await (await fetch(`${address}/v1/prompts`)).json()) as { prompts: string[] };
    expect(prompts).toEqual((await readFile(new URL('prompts.txt', modelUrl), 'utf8')).trimEnd().split('\n'));
  });

  it('takes fifty at once and draws each', { timeout: 300_000 }, async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, async (_, seed) => (await (await post({ prompt: 'tulip', seed })).json()) as Pictures),
    );
    expect(answers.map(({ pictures }) => pictures[0]!.seed)).toEqual([...Array(50).keys()]);
    const alone = (await (await post({ prompt: 'tulip', seed: 49 })).json()) as Pictures;
    expect(answers[49]!.pictures).toEqual(alone.pictures);
  });

  it('ends the drawings of clients that hang up, running or waiting', { timeout: 60_000 }, async () => {
    const gone = new AbortController();
    const hung = Array.from({ length: 8 }, (_, i) =>
      post({ prompt: 'panda', count: 4, stream: i % 2 === 0 }, { signal: gone.signal }).then((response) =>
        response.text(),
      ),
    );
    while (!(await health()).waiting) await sleep(10);
    gone.abort();
    for (const result of await Promise.allSettled(hung)) expect(result.status).toBe('rejected');
    await idle();
  });

  it('does not wait for slow readers nor for clients that never end their request', { timeout: 60_000 }, async () => {
    const { hostname, port } = new URL(address);
    const body = JSON.stringify({ prompt: 'panda', count: 4, stream: true });
    const head = `POST /v1/images HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: application/json\r\ncontent-length: `;
    const unread = connect(Number(port), hostname).pause();
    unread.write(`${head}${body.length}\r\n\r\n${body}`);
    const unfinished = connect(Number(port), hostname);
    unfinished.write(`${head}1000\r\n\r\n{"prompt"`);
    const garbage = connect(Number(port), hostname);
    garbage.end('\u0000\u0001 nonsense\r\n\r\n');
    garbage.resume();
    await once(garbage, 'close');
    expect((await post({ prompt: 'tulip' })).status).toBe(200);
    await idle();
    for (const socket of [unread, unfinished]) socket.destroy();
  });
});

describe('star serve, opened wider', () => {
  it('asks for a token before it listens elsewhere, for one that a header can bear, and for a port that is free', async () => {
    const refused = [
      [['--host', '0.0.0.0'], 'must come with --token or STAR_TOKEN'],
      [['--token', 'a b'], '--token must be of letters'],
      [['--port', new URL(address).port], 'must be free, got one in use'],
    ] as const;
    const outcomes = await Promise.all(refused.map(([flags]) => runStar(['serve', ...flags])));
    for (const [i, [, fault]] of refused.entries())
      expect([outcomes[i]!.code, outcomes[i]!.stderr]).toEqual([1, expect.stringContaining(fault)]);
  });

  it('wants the token, answers pages on its list only, turns away beyond its queue, and ends on a signal', async () => {
    const origin = 'https://pages.example';
    const [child, bound] = await startServing([
      '--host',
      '0.0.0.0',
      '--token',
      'secret',
      '--origin',
      `${origin}/`,
      '--queue',
      '1',
    ]);
    try {
      const at = bound.replace('0.0.0.0', '127.0.0.1');
      const bearer = { authorization: 'Bearer secret' };
      expect((await post({ prompt: '' }, {}, at)).status).toBe(401);
      const wrong = await post({ prompt: '' }, { headers: { authorization: 'Bearer wrong' } }, at);
      expect([wrong.status, await wrong.text()]).toEqual([401, expect.stringContaining('got another.')]);
      const preflight = { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } };
      const allowed = await fetch(`${at}/v1/images`, preflight);
      expect([allowed.status, allowed.headers.get('access-control-allow-origin')]).toEqual([204, origin]);
      const other = await post({ prompt: '' }, { headers: { ...bearer, origin: 'https://other.example' } }, at);
      expect(other.status).toBe(403);
      const many = await Promise.all(
        Array.from({ length: 6 }, () => post({ prompt: 'tulip', count: 4 }, { headers: { ...bearer, origin } }, at)),
      );
      expect(many.map(({ status }) => status).toSorted()).toEqual([200, 200, 503, 503, 503, 503]);
      expect(many.find(({ status }) => status === 503)!.headers.get('retry-after')).toBe('5');
    } finally {
      child.kill('SIGINT');
    }
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(0);
  }, 120_000);
});
