import { basename, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Pipeline } from '@star-webgpu/sampler';
import type { Precision } from '@star-webgpu/tensor-webgpu';
import { openSession } from '../device.ts';
import { listedPrompts, openModel } from '../model.ts';
import { wholeNumber } from '../numbers.ts';
import { interruptSignal, print, say } from '../output.ts';
import { createApp } from '../serve/app.ts';
import { isLoopback } from '../serve/guard.ts';
import { defaultLimits, type Limits } from '../serve/limits.ts';
import type { ServedModel } from '../serve/schema.ts';
import { listen } from '../serve/server.ts';
import { readSite } from '../serve/site.ts';

interface Flags {
  readonly model?: string;
  readonly precision: Precision;
  readonly host: string;
  readonly port: number;
  readonly token?: string;
  readonly origin: readonly string[];
  readonly queue: number;
  readonly maxCount: number;
  readonly adapter?: string;
}

/** Adds `star serve`. */
export function addServe(program: Command): void {
  program
    .command('serve')
    .description('draw over HTTP: an API, and the live page where it has been built')
    .option('--model <folder>', 'a trained model; the emoji model that comes along by default')
    .addOption(
      new Option('--precision <type>', 'f16 halves the memory of weights, keys and values')
        .choices(['f32', 'f16'])
        .default('f32'),
    )
    .option('--host <address>', 'where to listen; other than this machine only with a token', '127.0.0.1')
    .option('--port <number>', '0 takes a free one', wholeNumber(0, 65_535), 7878)
    .addOption(new Option('--token <text>', 'what requests must bear').env('STAR_TOKEN'))
    .option('--origin <url...>', 'origins of other pages that may ask', [])
    .option('--queue <number>', 'requests that may wait', wholeNumber(0), defaultLimits.queue)
    .option('--max-count <number>', 'pictures of one request', wholeNumber(1), defaultLimits.count)
    .addHelpText(
      'after',
      `
Examples:
  star serve
  star serve --model runs/mine/model --port 8080
  STAR_TOKEN=$(openssl rand -hex 16) star serve --host 0.0.0.0 --origin https://example.org
  curl -s localhost:7878/v1/images -H 'content-type: application/json' -d '{"prompt":"red apple"}'`,
    )
    .action(runServe);
}

async function runServe(_: unknown, command: Command): Promise<void> {
  const flags = command.optsWithGlobals<Flags>();
  const { host, port, token, queue, maxCount } = flags;
  if (!isLoopback(host) && !token)
    throw new Error(
      `serve: --host ${host} must come with --token or STAR_TOKEN, got none. Anyone who reaches this machine could draw.`,
    );
  if (token !== undefined && !/^[A-Za-z0-9._~+/-]+=*$/.test(token))
    throw new Error(
      'serve: --token must be of letters, digits and ._~+/- only, got other characters. A header cannot bear them.',
    );
  const origins = flags.origin.map(originOf);
  const session = await openSession(flags.adapter);
  say(`adapter: ${session.description}`);
  const pipeline = await openModel(flags.model, { precision: flags.precision });
  const signal = interruptSignal();
  const limits = { ...defaultLimits, queue, count: maxCount };
  const app = createApp({
    pipeline,
    model: modelOf(pipeline, { name: nameOf(flags.model), adapter: session.description, limits }),
    prompts: await listedPrompts(flags.model),
    limits,
    token,
    origins,
    host,
    site: await readSite(),
    version: 'v1',
    signal,
  });
  const server = await listen(app, { host, port });
  print(server.address);
  say('Ctrl-C stops it');
  await new Promise((stop) => signal.addEventListener('abort', stop, { once: true }));
  await server.close();
  pipeline.dispose();
  await session.close();
}

const nameOf = (folder?: string): string => (folder === undefined ? 'model-emoji' : basename(resolve(folder)));

/** @throws Error for what is no origin of a page */
function originOf(text: string): string {
  if (URL.canParse(text) && new URL(text).origin !== 'null') return new URL(text).origin;
  throw new Error(`serve: --origin must be like https://example.org, got ${text}. Correct it.`);
}

function modelOf(
  { star, text, defaults }: Pipeline,
  { name, adapter, limits }: { readonly name: string; readonly adapter: string; readonly limits: Limits },
): ServedModel {
  const { stall: _, ...told } = limits;
  return {
    name,
    adapter,
    scales: [...star.config.patchNumbers],
    codes: star.config.codebookSize,
    textTokens: text.model.config.positions,
    refiner: star.refiner !== undefined,
    defaults: { ...defaults },
    limits: told,
  };
}
