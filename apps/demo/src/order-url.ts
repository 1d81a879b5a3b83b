import sampling from '@star-webgpu/model-emoji/model/sampling.json';
import type { Order } from './protocol.ts';

/** What the model is best drawn with. */
const own: Partial<Order> = sampling;

/** What the page starts with: the published demo's numbers, but for those that the model has of its own. */
export const defaultOrder: Order = {
  prompt: 'red apple',
  seed: 42,
  guidance: 4,
  topK: 600,
  topP: 0.8,
  smooth: false,
  ...own,
};

const within = (text: string | null, low: number, high: number, otherwise: number): number => {
  const value = text === null || text.trim() === '' ? Number.NaN : Number(text);
  return value >= low && value <= high ? value : otherwise;
};

/** The order of a shared link's query; what is missing or out of range takes its default. */
export function orderFromQuery(query: string): Order {
  const parameters = new URLSearchParams(query);
  const number = (name: string, low: number, high: number, otherwise: number): number =>
    within(parameters.get(name), low, high, otherwise);
  return {
    prompt: parameters.get('prompt') ?? defaultOrder.prompt,
    seed: Math.trunc(number('seed', 0, Number.MAX_SAFE_INTEGER, defaultOrder.seed)),
    guidance: number('guidance', 0, 30, defaultOrder.guidance),
    topK: Math.trunc(number('top-k', 0, 4096, defaultOrder.topK)),
    topP: number('top-p', 0, 1, defaultOrder.topP),
    smooth: parameters.get('smooth') === '1',
  };
}

/** The query of a link that makes the same picture again; defaults are left out. */
export function queryOfOrder(order: Order): string {
  const parameters = new URLSearchParams({ prompt: order.prompt, seed: String(order.seed) });
  if (order.guidance !== defaultOrder.guidance) parameters.set('guidance', String(order.guidance));
  if (order.topK !== defaultOrder.topK) parameters.set('top-k', String(order.topK));
  if (order.topP !== defaultOrder.topP) parameters.set('top-p', String(order.topP));
  if (order.smooth) parameters.set('smooth', '1');
  return `?${parameters}`;
}
