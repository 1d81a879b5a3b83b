import { onMounted, type Ref, shallowRef, watch } from 'vue';
import { isServed, servedPrompts } from '../painter/create-painter.ts';
import type { ModelFolder } from '../painter/painter.ts';
import { favourites, ownPrompts, promptsOf } from './own-model.ts';
import type { Studio } from './use-studio.ts';

/** What the model can draw, as far as the page knows. */
export interface KnownPrompts {
  /** Of the site's own model some, until somebody looks for more. */
  readonly known: Readonly<Ref<readonly string[]>>;
  /** Gives all of them, and shows them from then on. */
  look(): Promise<readonly string[]>;
}

/** What the model can draw: the site's own by its list, a server's by what that says, a person's by the prompts.txt of its folder. */
export function useKnownPrompts({ folder, adapter }: Pick<Studio, 'folder' | 'adapter'>): KnownPrompts {
  const known = shallowRef<readonly string[]>(favourites);
  /** Those of the site's or the server's model. */
  let listed: readonly string[] | undefined;

  async function look(): Promise<readonly string[]> {
    const chosen = folder.value;
    // Without a list the page does with what it knows: drawing does not need one.
    const all = chosen ? await listedIn(chosen) : (listed ??= await listOf().catch(() => undefined));
    if (all && folder.value === chosen) known.value = all;
    return all ?? known.value;
  }

  async function show(): Promise<void> {
    if (folder.value || listed) return void (await look());
    known.value = isServed() ? [] : favourites;
    // A server that asks for a token has got one by the time that it has told its adapter.
    if (isServed() && adapter.value) await look();
  }

  onMounted(() => watch([folder, adapter], show, { immediate: true }));
  return { known, look };
}

const listOf = (): Promise<readonly string[]> => (isServed() ? servedPrompts() : ownPrompts());

async function listedIn({ files }: ModelFolder): Promise<readonly string[]> {
  const list = files.find(({ path }) => /(^|\/)prompts\.txt$/.test(path));
  return list ? promptsOf(await list.file.text()) : [];
}
