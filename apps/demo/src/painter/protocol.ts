import type { DrawnScale, FailureReason, Loading, ModelFolder, Order, Ready, Redrawing, WordMap } from './painter.ts';

/** From the page to the worker. */
export type Command =
  | { readonly kind: 'open'; readonly folder?: ModelFolder }
  | { readonly kind: 'draw'; readonly order: Order; readonly redrawing?: Redrawing }
  | { readonly kind: 'cancel' };

/** From the worker to the page. */
export type Report =
  | ({ readonly kind: 'loading' } & Loading)
  | ({ readonly kind: 'ready' } & Ready)
  | ({ readonly kind: 'scale' } & DrawnScale)
  | { readonly kind: 'finished'; readonly words: readonly WordMap[] }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly reason: FailureReason; readonly message: string };
