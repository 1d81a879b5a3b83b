import type { ReadFile } from '@star-webgpu/tensor-webgpu';

/** RGB bytes of a picture, [H, W, 3] row-major. */
interface Shown {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** What an example finds on its page. A device is open: `setDevice(await createDevice(await navigator.gpu.requestAdapter()))`. */
interface Bench {
  /** Adds a line below the example. */
  print(line: string): void;
  /** Adds a picture. */
  show(picture: Shown): void;
  /** Bytes of a file of the emoji model. */
  readonly read: ReadFile;
}

export type Example = (bench: Bench) => Promise<void>;
