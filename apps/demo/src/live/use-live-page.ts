import { onBeforeUnmount, onMounted, reactive, type Ref, ref } from 'vue';
import { isServed } from '../painter/create-painter.ts';
import { type ModelFolder, type Order, PainterError } from '../painter/painter.ts';
import { type Link, linkFromQuery, mostPictures, queryOfLink, recipesOf } from './link.ts';
import { ownModel } from './own-model.ts';
import { lastOrder, type Recipe, type Retouch } from './recipe.ts';
import type { Gallery, Picture } from './use-gallery.ts';
import type { Keeper } from './use-kept-folder.ts';
import type { Studio } from './use-studio.ts';

/** An order on its form, being changed. */
export type Form = { -readonly [key in keyof Order]: Order[key] };

/** What a person does on the page, and the address that keeps it. */
export interface LivePage {
  readonly form: Form;
  /** Pictures a press of Draw makes. */
  readonly count: Ref<number>;
  /** Name of the folder that a link asks for and that is not here. */
  readonly wanted: Readonly<Ref<string | undefined>>;
  draw(): Promise<void>;
  /** Draws the form's prompt with a seed by chance. */
  another(): Promise<void>;
  suggest(prompt: string): Promise<void>;
  /** Draws a part or the finer scales of the chosen picture anew, by the form's prompt. */
  retouch(what: Omit<Retouch, 'order'>): Promise<void>;
  choose(picture: Picture): void;
  /** Draws with a person's own model from now on, or with the page's. */
  use(folder: ModelFolder | undefined): Promise<void>;
  /** The same with a folder of the disk, which is kept for the next visit if it holds a model. */
  take(folder: ModelFolder): Promise<void>;
  /** Does again what failed. */
  retry(): Promise<void>;
}

const bySomeChance = (): number => Math.floor(Math.random() * 1_000_000);

export function useLivePage(gallery: Gallery, studio: Studio, keeper: Keeper): LivePage {
  const form: Form = reactive({ prompt: 'red apple', seed: 42, ...ownModel.settings });
  const count = ref(1);
  const wanted = ref<string>();
  let running = Promise.resolve();
  /** What was done last. */
  let again: () => Promise<void> = draw;

  const queryOf = (link: Link): string => queryOfLink(link, studio.model.value.settings);

  /** Keeps a link in the address: as a new step of the history, or in place of the present one. */
  function keep(link: Link, step: 'pushState' | 'replaceState'): void {
    const query = queryOf(link);
    if (query !== location.search) history[step]({ ...history.state }, '', query + location.hash);
  }

  /** The link of a picture, and of those of the gallery that differ from it in their seed only. */
  function linkBeside({ order, retouches }: Recipe, seeds: readonly number[]): Link {
    const model = studio.folder.value?.name;
    if (retouches.length) return { order, seeds: [order.seed], retouches, model };
    const one = (seed: number): string => queryOf({ order: { ...order, seed }, seeds: [seed], retouches: [], model });
    const beside = gallery.pictures.value.filter(({ id, recipe }) => id === one(recipe.order.seed));
    const all = new Set([...seeds, ...beside.map(({ recipe }) => recipe.order.seed)]);
    return { order, seeds: [...all].slice(0, mostPictures), retouches: [], model };
  }

  function make(recipes: readonly Recipe[], step: 'pushState' | 'replaceState' = 'pushState'): Promise<void> {
    if (studio.busy.value) return running;
    again = () => make(recipes, step);
    return (running = paint(recipes, step));
  }

  async function paint(recipes: readonly Recipe[], step: 'pushState' | 'replaceState'): Promise<void> {
    wanted.value = undefined;
    if (!(await studio.open())) return;
    const [first] = recipes as [Recipe];
    keep(
      linkBeside(
        first,
        recipes.map(({ order: { seed } }) => seed),
      ),
      step,
    );
    if (!(await studio.draw(recipes))) return;
    const shown = gallery.find(queryOf({ ...linkBeside(first, []), seeds: [first.order.seed] }));
    if (shown) gallery.chosen.value = shown;
  }

  function draw(): Promise<void> {
    const seeds = Array.from({ length: count.value }, (_, i) => form.seed + i);
    return make(seeds.map((seed) => ({ order: { ...form, seed }, retouches: [] })));
  }

  function another(): Promise<void> {
    form.seed = bySomeChance();
    return draw();
  }

  function suggest(prompt: string): Promise<void> {
    form.prompt = prompt;
    return draw();
  }

  async function retouch(what: Omit<Retouch, 'order'>): Promise<void> {
    const { recipe } = gallery.chosen.value!;
    form.seed = bySomeChance();
    await make([{ ...recipe, retouches: [...recipe.retouches, { order: { ...form }, ...what }] }]);
  }

  function choose(picture: Picture): void {
    gallery.chosen.value = picture;
    Object.assign(form, lastOrder(picture.recipe));
    keep(linkBeside(picture.recipe, [picture.recipe.order.seed]), 'replaceState');
  }

  async function use(folder: ModelFolder | undefined, onOpened?: () => void): Promise<void> {
    const asked = folder !== undefined && folder.name === wanted.value;
    again = draw;
    if (!(await studio.use(folder))) return;
    onOpened?.();
    if (asked) return follow();
    Object.assign(form, studio.model.value.settings);
    await draw();
  }

  const take = (folder: ModelFolder): Promise<void> => use(folder, () => void keeper.keep(folder));
  const retry = (): Promise<void> => again();

  const linkHere = (): Link => linkFromQuery(location.search, studio.model.value.settings);

  /** Opens the model of a link: one that is kept from an earlier visit, if it is a person's own. False if it is not to be had. */
  async function openFor({ model }: Link): Promise<boolean> {
    wanted.value = undefined;
    if (model === studio.folder.value?.name) return studio.open();
    const folder = model === undefined ? undefined : await keeper.open(model);
    if (folder || model === undefined) return studio.use(folder);
    wanted.value = model;
    return false;
  }

  /** Follows the address: shows what is drawn already, and draws what is not. */
  async function follow(): Promise<void> {
    again = follow;
    Object.assign(form, linkHere().order);
    if (!(await openFor(linkHere()))) return;
    // What a link leaves out is as the model has it that is open now.
    const link = linkHere();
    const recipes = recipesOf(link);
    Object.assign(form, lastOrder(recipes[0]!));
    const known = gallery.find(queryOf({ ...link, seeds: [link.order.seed] }));
    if (known) gallery.chosen.value = known;
    else await make(recipes, 'replaceState');
  }

  async function stepped(): Promise<void> {
    studio.cancel();
    await running;
    await follow();
  }

  onMounted(() => {
    addEventListener('popstate', stepped);
    if (!navigator.gpu && !isServed()) studio.fail(new PainterError('no-webgpu', 'navigator.gpu is missing'));
    else void follow();
  });
  onBeforeUnmount(() => removeEventListener('popstate', stepped));
  return { form, count, wanted, draw, another, suggest, retouch, choose, use, take, retry };
}
