import { stat } from 'node:fs/promises';
import { join } from 'node:path';

/** True if a folder has the weights of a model or a network of ours. */
export const hasWeights = (folder: string): Promise<boolean> =>
  stat(join(folder, 'model.safetensors')).then(
    () => true,
    () => false,
  );
