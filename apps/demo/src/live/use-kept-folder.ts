import { onMounted, type ShallowRef, shallowRef } from 'vue';
import type { ModelFolder } from '../painter/painter.ts';
import { type KeptFolder, keptFolder, openKept } from './kept-folder.ts';

/** The folder that this browser keeps for the next visit. */
export interface Keeper {
  readonly kept: Readonly<ShallowRef<KeptFolder | undefined>>;
  /** Why the last folder was not kept; empty if it was. */
  readonly refusal: Readonly<ShallowRef<string>>;
  keep(folder: ModelFolder): Promise<void>;
  open(name: string): Promise<ModelFolder | undefined>;
  forget(): Promise<void>;
}

/** Only who has a model needs it. */
const keeping = (): Promise<typeof import('./keep-folder.ts')> => import('./keep-folder.ts');

export function useKeptFolder(): Keeper {
  const kept = shallowRef<KeptFolder>();
  const refusal = shallowRef('');

  async function keep(folder: ModelFolder): Promise<void> {
    [kept.value, refusal.value] = [undefined, ''];
    try {
      kept.value = await (await keeping()).keepFolder(folder);
    } catch (error) {
      refusal.value = `${folder.name} is not kept for the next visit: ${(error as Error).message}`;
    }
  }

  async function forget(): Promise<void> {
    await (await keeping()).forgetFolder();
    kept.value = undefined;
  }

  onMounted(async () => (kept.value = await keptFolder()));
  return { kept, refusal, keep, open: openKept, forget };
}
