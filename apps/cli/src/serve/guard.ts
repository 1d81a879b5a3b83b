import type { MiddlewareHandler } from 'hono';

export interface GuardOptions {
  /** Where the server listens. */
  readonly host: string;
  /** Origins of other pages that may ask. */
  readonly origins: readonly string[];
}

const loopback: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '::1', '[::1]']);

/** True for addresses that only this machine reaches. */
export const isLoopback = (host: string): boolean => loopback.has(host);

/**
 * Turns away what a page of another origin sends without being on the list, and, where only this machine may ask, what was sent to
 * another name: a page whose name was made to point here would be of the same origin.
 */
export const guard =
  ({ host, origins }: GuardOptions): MiddlewareHandler =>
  async (context, next) => {
    const { hostname, host: asked } = new URL(context.req.url);
    if (isLoopback(host) && !isLoopback(hostname))
      return context.json({ error: `Requests must be sent to ${host}, got ${hostname}. Ask at that name.` }, 403);
    const origin = context.req.header('origin');
    if (origin !== undefined && !origins.includes(origin) && hostOf(origin) !== asked)
      return context.json(
        { error: `Pages of other origins must be on the list of --origin, got ${origin}. Start the server with it.` },
        403,
      );
    return next();
  };

const hostOf = (origin: string): string | undefined => (URL.canParse(origin) ? new URL(origin).host : undefined);
