import {
  computed,
  type ComputedRef,
  onMounted,
  onBeforeUnmount,
  ref,
  type Ref,
  shallowRef,
  type ShallowRef,
} from 'vue';
import { createPainter, isServed } from '../painter/create-painter.ts';
import { type DrawnScale, type FailureReason, type Loading, type ModelFacts } from '../painter/painter.ts';
import { type ModelFolder, type Painter, PainterError, type Pixels, type Redrawing } from '../painter/painter.ts';
import { linkOf, queryOfLink } from './link.ts';
import { decodeMask } from './mask.ts';
import { ownModel } from './own-model.ts';
import { beforeLast, lastOrder, type Recipe } from './recipe.ts';
import { shrunk } from './shrunk.ts';
import type { Gallery, Picture } from './use-gallery.ts';

/** What the painter is about. */
type StudioState = 'idle' | 'loading' | 'ready' | 'drawing' | 'failed';

/** Why nothing can be drawn. */
export interface StudioFailure {
  readonly reason: FailureReason;
  readonly message: string;
}

/** The one painter of the page, with its model, and what it is drawing. */
export interface Studio {
  readonly state: Readonly<Ref<StudioState>>;
  readonly busy: ComputedRef<boolean>;
  readonly loading: Readonly<ShallowRef<Loading>>;
  readonly model: Readonly<ShallowRef<ModelFacts>>;
  readonly folder: Readonly<ShallowRef<ModelFolder | undefined>>;
  readonly adapter: Readonly<Ref<string>>;
  readonly failure: Readonly<ShallowRef<StudioFailure | undefined>>;
  /** Scales so far of the picture that is being drawn, or was when it was cancelled. */
  readonly scales: Readonly<ShallowRef<readonly DrawnScale[]>>;
  /** Pictures of others that a server draws before. */
  readonly before: Readonly<Ref<number>>;
  /** Loads a model, if it is not there yet; true once it is. */
  open(): Promise<boolean>;
  /** Takes another model: a person's own, or the site's. */
  use(folder: ModelFolder | undefined): Promise<boolean>;
  /** Draws pictures one after another into the gallery; false if it was cancelled or failed. */
  draw(recipes: readonly Recipe[]): Promise<boolean>;
  cancel(): void;
  fail(error: unknown): void;
}

export function useStudio(gallery: Gallery): Studio {
  const state = ref<StudioState>('idle');
  const loading = shallowRef<Loading>({ loaded: 0, total: 0 });
  const model = shallowRef<ModelFacts>(ownModel);
  const folder = shallowRef<ModelFolder>();
  const adapter = ref('');
  const failure = shallowRef<StudioFailure>();
  const scales = shallowRef<readonly DrawnScale[]>([]);
  const before = ref(0);
  let painter: Painter | undefined;
  let cancelled = false;
  /** Painters so far: what one that was left says no longer counts. */
  let visits = 0;

  async function open(): Promise<boolean> {
    if (painter) return true;
    [state.value, failure.value, loading.value] = ['loading', undefined, { loaded: 0, total: 0 }];
    const visit = ++visits;
    try {
      const opening = await createPainter(folder.value);
      if (visit !== visits) {
        opening.close();
        return false;
      }
      painter = opening;
      const ready = await opening.open((news) => (loading.value = news));
      [model.value, adapter.value, state.value] = [ready.model, ready.adapter, 'ready'];
      return true;
    } catch (error) {
      if (visit === visits) fail(error);
      return false;
    }
  }

  function use(next: ModelFolder | undefined): Promise<boolean> {
    leave();
    folder.value = next;
    return open();
  }

  async function draw(recipes: readonly Recipe[]): Promise<boolean> {
    cancelled = false;
    try {
      for (const recipe of recipes) {
        state.value = 'drawing';
        if (!(await paint(recipe))) break;
      }
      state.value = 'ready';
      return !cancelled;
    } catch (error) {
      fail(error);
      return false;
    }
  }

  /** Draws a picture behind those that it is made of; none if it was cancelled. */
  async function paint(recipe: Recipe): Promise<Picture | undefined> {
    const earlier = beforeLast(recipe);
    const original = earlier && (gallery.find(idOf(earlier)) ?? (await paint(earlier)));
    if (cancelled || (earlier && !original)) return undefined;
    const redrawing = original && redrawingOf(recipe, original.pixels);
    [scales.value, before.value] = [[], 0];
    const started = performance.now();
    const onScale = (scale: DrawnScale): void => void (scales.value = [...scales.value, scale]);
    const onPlace = (place: number): void => void (before.value = place);
    const words = await painter!.draw(lastOrder(recipe), { onScale, onPlace }, redrawing);
    cancelled = words === undefined;
    if (!words) return undefined;
    const milliseconds = performance.now() - started;
    const pixels = scales.value.at(-1)!.pixels;
    return gallery.add({ id: idOf(recipe), recipe, scales: scales.value.map(shrunk), words, pixels, milliseconds });
  }

  const idOf = (recipe: Recipe): string => queryOfLink(linkOf(recipe, folder.value?.name), model.value.settings);

  function cancel(): void {
    cancelled = true;
    if (state.value === 'drawing') painter?.cancel();
  }

  function leave(): void {
    visits++;
    painter?.close();
    painter = undefined;
  }

  function fail(error: unknown): void {
    const reason = error instanceof PainterError ? error.reason : 'drawing';
    failure.value = { reason, message: error instanceof Error ? error.message : String(error) };
    state.value = 'failed';
    leave();
  }

  onMounted(() => {
    if (isServed()) model.value = { ...ownModel, name: 'not yet known', place: 'server' };
  });
  onBeforeUnmount(leave);
  const busy = computed(() => state.value === 'loading' || state.value === 'drawing');
  return { state, busy, loading, model, folder, adapter, failure, scales, before, open, use, draw, cancel, fail };
}

function redrawingOf({ retouches }: Recipe, original: Pixels): Redrawing {
  const { mask, keepScales } = retouches.at(-1)!;
  return {
    original,
    ...(mask !== undefined && { mask: decodeMask(mask, original) }),
    ...(keepScales !== undefined && { keepScales }),
  };
}
