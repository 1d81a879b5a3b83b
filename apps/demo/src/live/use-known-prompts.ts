import { type Ref, type ShallowRef, shallowRef, watch } from 'vue';
import type { ModelFolder } from '../painter/painter.ts';
import { ownPrompts, promptsOf } from './own-model.ts';

/** What the model can draw: the site's own by its list, a person's by the prompts.txt of its folder, if there is one. */
export function useKnownPrompts(folder: Readonly<ShallowRef<ModelFolder | undefined>>): Ref<readonly string[]> {
  const known = shallowRef(ownPrompts);
  watch(folder, async (chosen) => {
    if (!chosen) return void (known.value = ownPrompts);
    known.value = [];
    const list = chosen.files.find(({ path }) => /(^|\/)prompts\.txt$/.test(path));
    if (list) known.value = promptsOf(await list.file.text());
  });
  return known;
}
