import type { HttpBindings } from '@hono/node-server';
import { OpenAPIHono } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { bearerAuth } from 'hono/bearer-auth';
import { bodyLimit } from 'hono/body-limit';
import { cors } from 'hono/cors';
import { logger } from 'hono/logger';
import { secureHeaders } from 'hono/secure-headers';
import { say } from '../output.ts';
import { addRoutes, type RouteOptions } from './routes.ts';
import { failed, faultsOf } from './failures.ts';
import { guard, type GuardOptions } from './guard.ts';
import type { SiteFiles } from './site.ts';

export interface AppOptions extends GuardOptions, RouteOptions {
  /** What requests under /v1 must bear; without one they need none. */
  readonly token?: string | undefined;
  readonly site: SiteFiles;
  readonly version: string;
}

export type App = OpenAPIHono<{ Bindings: HttpBindings }>;

const tokenAsked = {
  message: { error: 'Requests must bear the token that the server was started with: authorization: Bearer TOKEN.' },
};

const tokenWrong = {
  message: { error: 'The token of a request must be the one that the server was started with, got another.' },
};

const withoutSite = `star serve is running.

POST /v1/images draws, POST /v1/edits draws a part anew, GET /v1/openapi.json describes it.
The page has not been built here: pnpm --filter @star-webgpu/demo build makes it.
`;

/** The HTTP API, and the site beside it. */
export function createApp({ token, site, version, ...options }: AppOptions): App {
  const { limits, origins } = options;
  const app: App = new OpenAPIHono({
    defaultHook: (result, context) => (result.success ? undefined : context.json(faultsOf(result.error), 400)),
  });
  app.onError(failed);
  app.notFound((context) => context.json({ error: `There is nothing at ${context.req.path}.` }, 404));
  app.use(secureHeaders({ strictTransportSecurity: false }));
  app.use('/v1/*', logger(say));
  app.use('/v1/*', guard(options));
  if (origins.length) app.use('/v1/*', cors({ origin: [...origins], allowHeaders: ['content-type', 'authorization'] }));
  if (token !== undefined)
    app.use('/v1/*', bearerAuth({ token, noAuthenticationHeader: tokenAsked, invalidToken: tokenWrong }));
  app.use('/v1/images', bodyOfAtMost(limits.body));
  app.use('/v1/edits', bodyOfAtMost(limits.editBody));
  addRoutes(app, options);
  addDescription(app, version, token !== undefined);
  app.get('/*', async (context, next) => {
    const file = site.get(context.req.path);
    if (file) return context.body(file.body, 200, { 'content-type': file.type });
    return context.req.path === '/' ? context.text(withoutSite) : next();
  });
  return app;
}

const bodyOfAtMost = (maxSize: number): MiddlewareHandler =>
  bodyLimit({
    maxSize,
    onError: (context) => context.json({ error: `A body must have at most ${maxSize} bytes.` }, 413),
  });

function addDescription(app: App, version: string, secured: boolean): void {
  if (secured) app.openAPIRegistry.registerComponent('securitySchemes', 'token', { type: 'http', scheme: 'bearer' });
  app.doc31('/v1/openapi.json', {
    openapi: '3.1.0',
    info: {
      title: 'star serve',
      version,
      description: 'Pictures from words, drawn scale by scale.',
      license: { name: 'MIT' },
    },
    ...(secured && { security: [{ token: [] }] }),
  });
}
