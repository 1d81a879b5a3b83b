import { onMounted, type Ref, type ShallowRef, shallowRef, watch } from 'vue';
import type { ModelFolder } from '../painter/painter.ts';
import { favourites, ownPrompts, promptsOf } from './own-model.ts';

/** What the model can draw: the site's own by its list, a person's by the prompts.txt of its folder, if there is one. */
export function useKnownPrompts(folder: Readonly<ShallowRef<ModelFolder | undefined>>): Ref<readonly string[]> {
  const known = shallowRef<readonly string[]>(favourites);
  async function show(chosen: ModelFolder | undefined): Promise<void> {
    known.value = chosen ? [] : favourites;
    const all = await (chosen ? listedIn(chosen) : ownPrompts());
    if (folder.value === chosen) known.value = all;
  }
  onMounted(() => watch(folder, show, { immediate: true }));
  return known;
}

async function listedIn({ files }: ModelFolder): Promise<readonly string[]> {
  const list = files.find(({ path }) => /(^|\/)prompts\.txt$/.test(path));
  return list ? promptsOf(await list.file.text()) : [];
}
