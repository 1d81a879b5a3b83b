import { register } from 'node:module';

/** Resolves the imports inside tfjs-core that leave out `.js` or `/index.js`, as bundlers do and Node does not. */
const hooks = `
  export async function resolve(specifier, context, next) {
    if (!specifier.startsWith('.') || !context.parentURL?.includes('/tfjs-core/dist/')) return next(specifier, context);
    for (const ending of ['', '.js', '/index.js'])
      try {
        return await next(specifier + ending, context);
      } catch (error) {
        if (ending === '/index.js') throw error;
      }
  }
`;

/** Lets Node load the modules of tfjs-core one by one: its gradients are in no bundle. */
export function allowBundlerImports(): void {
  register(`data:text/javascript,${encodeURIComponent(hooks)}`);
}
