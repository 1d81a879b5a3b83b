import type { PictureSize } from '@star-webgpu/data-lmdb';
import type { StarAdapters } from '@star-webgpu/star-transformer';
import type { Stage } from '@star-webgpu/trainer';
import type { Measure } from './evaluation.ts';
import type { Preview } from './preview.ts';
import type { TokenFile } from './token-file.ts';

/** What is trained, and how it is shown pictures. */
export interface Trained {
  readonly stage: Stage;
  /** Sizes that pictures are loaded at, one a ratio. */
  readonly sizes: readonly PictureSize[];
  /** Instead of pictures. */
  readonly tokens?: TokenFile | undefined;
  readonly preview?: Preview;
  /** Metrics beside the loss, where held-out pictures are evaluated. */
  readonly measure?: Measure;
  /** What learns instead of the model; kept beside it. */
  readonly adapters?: StarAdapters | undefined;
}
