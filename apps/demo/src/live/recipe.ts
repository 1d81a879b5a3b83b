import type { Order } from '../painter/painter.ts';

/** How a picture came to be: drawn by an order, then parts of it anew, one after another. */
export interface Recipe {
  readonly order: Order;
  readonly retouches: readonly Retouch[];
}

/** A part that is drawn anew by an order of its own. */
export interface Retouch {
  readonly order: Order;
  /** The part, as `encodeMask` writes it. */
  readonly mask: string;
}

/** The recipe of the picture before the last retouch, if there is one. */
export const beforeLast = ({ order, retouches }: Recipe): Recipe | undefined =>
  retouches.length ? { order, retouches: retouches.slice(0, -1) } : undefined;

/** The order that gives the picture its last look. */
export const lastOrder = ({ order, retouches }: Recipe): Order => retouches.at(-1)?.order ?? order;

/** Words for a picture where it cannot be seen. */
export function describe(recipe: Recipe): string {
  const { prompt, seed } = lastOrder(recipe);
  return `${prompt || 'anything'}, seed ${seed}${recipe.retouches.length ? ', redrawn in part' : ''}`;
}
