import type { Order, Settings } from '../painter/painter.ts';
import { type Recipe, type Retouch } from './recipe.ts';

/** What a link makes: one picture a seed, alike but for that, or one that was retouched. */
export interface Link {
  readonly order: Order;
  /** That of the order first. */
  readonly seeds: readonly number[];
  readonly retouches: readonly Retouch[];
  /** A person's own model, by the name of its folder; the site's if absent. */
  readonly model?: string | undefined;
}

/** Most pictures of a link and of a gallery. */
export const mostPictures = 24;

/** Settings as a query names them; flags are 1 or 0. */
const parameterNames: Readonly<Record<keyof Settings, string>> = {
  guidance: 'guidance',
  temperature: 'temperature',
  topK: 'top-k',
  topP: 'top-p',
  smooth: 'smooth',
  refine: 'refine',
};

const firstSeed = 42;
const mostScales = 64;

/** The link of one picture. */
export const linkOf = ({ order, retouches }: Recipe, model?: string): Link => ({
  order,
  seeds: [order.seed],
  retouches,
  model,
});

/** The pictures of a link. */
export const recipesOf = ({ order, seeds, retouches }: Link): Recipe[] =>
  seeds.map((seed) => ({ order: { ...order, seed }, retouches }));

/** Reads a query; what is missing or out of range takes its default. */
export function linkFromQuery(query: string, defaults: Settings): Link {
  const parameters = new URLSearchParams(query);
  const order = orderOf(parameters, defaults);
  const retouches = parameters.getAll('edit').map((text) => retouchOf(text, defaults));
  return {
    order,
    seeds: retouches.length ? [order.seed] : seedsOf(parameters),
    retouches,
    model: parameters.get('model') ?? undefined,
  };
}

/** The query of a link that makes the same pictures again; defaults are left out. */
export function queryOfLink({ order, seeds, retouches, model }: Link, defaults: Settings): string {
  const parameters = parametersOf(order, defaults);
  for (const seed of seeds) parameters.append('seed', String(seed));
  for (const { order: own, mask, keepScales } of retouches) {
    const edit = parametersOf(own, defaults);
    edit.set('seed', String(own.seed));
    if (mask !== undefined) edit.set('mask', mask);
    if (keepScales !== undefined) edit.set('keep', String(keepScales));
    parameters.append('edit', String(edit));
  }
  if (model !== undefined) parameters.set('model', model);
  return `?${parameters}`;
}

function orderOf(parameters: URLSearchParams, defaults: Settings): Order {
  const said = (name: keyof Settings): string | null => parameters.get(parameterNames[name]);
  const number = (name: 'guidance' | 'temperature' | 'topK' | 'topP', high: number): number =>
    within(said(name), high, defaults[name]);
  const flag = (name: 'smooth' | 'refine'): boolean => (said(name) === null ? defaults[name] : said(name) === '1');
  return {
    prompt: parameters.get('prompt') ?? 'red apple',
    seed: seedsOf(parameters)[0]!,
    guidance: number('guidance', 30),
    temperature: number('temperature', 100) || defaults.temperature,
    topK: Math.trunc(number('topK', 65_536)),
    topP: number('topP', 1),
    smooth: flag('smooth'),
    refine: flag('refine'),
  };
}

/** The prompt, and settings that differ from the defaults. */
function parametersOf(order: Order, defaults: Settings): URLSearchParams {
  const parameters = new URLSearchParams({ prompt: order.prompt });
  for (const name of Object.keys(parameterNames) as (keyof Settings)[])
    if (order[name] !== defaults[name]) parameters.set(parameterNames[name], String(Number(order[name])));
  return parameters;
}

function retouchOf(text: string, defaults: Settings): Retouch {
  const parameters = new URLSearchParams(text);
  const order = orderOf(parameters, defaults);
  const keepScales = within(parameters.get('keep'), mostScales, 0);
  // A change that says nothing marks nothing.
  const mask = parameters.get('mask') ?? (keepScales > 0 ? undefined : '');
  return { order, ...(mask !== undefined && { mask }), ...(keepScales > 0 && { keepScales: Math.trunc(keepScales) }) };
}

/** Different seeds, at least one. */
function seedsOf(parameters: URLSearchParams): number[] {
  const seeds = parameters.getAll('seed').map((text) => Math.trunc(within(text, Number.MAX_SAFE_INTEGER, firstSeed)));
  return [...new Set(seeds.length ? seeds : [firstSeed])].slice(0, mostPictures);
}

/** The number that a text says if it lies in 0..high. */
function within(text: string | null, high: number, otherwise: number): number {
  const value = text === null || text.trim() === '' ? Number.NaN : Number(text);
  return value >= 0 && value <= high ? value : otherwise;
}
