import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { SamplingOptionsError } from '@star-webgpu/sampler';
import { CanvasError } from '../canvas.ts';
import { say } from '../output.ts';
import { QueueFullError } from './queue.ts';

/** What clients are told of a failure. */
export interface Failure {
  readonly error: string;
  readonly faults?: readonly string[];
}

/** Faults of a body, each with its path. */
export const faultsOf = ({
  issues,
}: {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
}): Failure => ({
  error: 'The request must be as /v1/openapi.json says. Correct these fields.',
  faults: issues.map(({ path, message }) => `${path.join('.') || '(body)'}: ${message}`),
});

/** A failure of a drawing in words for the client; what is not the client's fault is told to the operator only. */
export function failureOf(error: unknown): { readonly status: 400 | 500 | 503; readonly failure: Failure } {
  if (error instanceof SamplingOptionsError)
    return { status: 400, failure: { error: 'Options must be in range. Correct these.', faults: error.faults } };
  if (error instanceof CanvasError) return { status: 400, failure: { error: error.message } };
  if (error instanceof QueueFullError) return { status: 503, failure: { error: error.message } };
  say(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return { status: 500, failure: { error: 'The server failed to draw; its terminal says why.' } };
}

/** Answers whatever was thrown. */
export function failed(error: Error, context: Context): Response {
  if (error instanceof HTTPException)
    return error.res ?? context.json({ error: error.message || 'The request cannot be read.' }, error.status);
  const { status, failure } = failureOf(error);
  if (status === 503) context.header('retry-after', '5');
  return context.json(failure, status);
}
