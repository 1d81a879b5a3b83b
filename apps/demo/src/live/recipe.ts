import type { Order } from '../painter/painter.ts';

/** How a picture came to be: drawn by an order, then parts of it anew, one after another. */
export interface Recipe {
  readonly order: Order;
  readonly retouches: readonly Retouch[];
}

/** What is drawn anew by an order of its own: a part, or the finer scales. */
export interface Retouch {
  readonly order: Order;
  /** The part, as `encodeMask` writes it; all of the picture without one. */
  readonly mask?: string | undefined;
  /** Scales that stay, from the first: a variation. */
  readonly keepScales?: number | undefined;
}

/** The recipe of the picture before the last retouch, if there is one. */
export const beforeLast = ({ order, retouches }: Recipe): Recipe | undefined =>
  retouches.length ? { order, retouches: retouches.slice(0, -1) } : undefined;

/** The order that gives the picture its last look. */
export const lastOrder = ({ order, retouches }: Recipe): Order => retouches.at(-1)?.order ?? order;

/** Words for a picture where it cannot be seen. */
export function describe(recipe: Recipe): string {
  const { prompt, seed } = lastOrder(recipe);
  return `${prompt || 'anything'}, seed ${seed}${{ drawn: '', redrawn: ', redrawn in part', varied: ', a variation' }[kindOf(recipe)]}`;
}

/** What was done last for a picture. */
export function kindOf({ retouches }: Recipe): 'drawn' | 'redrawn' | 'varied' {
  const last = retouches.at(-1);
  if (!last) return 'drawn';
  return last.mask === undefined ? 'varied' : 'redrawn';
}
