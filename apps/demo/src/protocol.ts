/** What is to be drawn. */
export interface Order {
  readonly prompt: string;
  readonly seed: number;
  readonly guidance: number;
  readonly topK: number;
  readonly topP: number;
  readonly smooth: boolean;
}

/** A picture on its way to a canvas. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** RGBA bytes, row-major. */
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** One finished scale of a picture. */
export interface DrawnScale {
  /** From 0. */
  readonly scale: number;
  readonly milliseconds: number;
  readonly pixels: Pixels;
}

/** What a worker can say about itself once the model is loaded. */
export interface Ready {
  readonly adapter: string;
  /** Tokens along a side of each scale. */
  readonly sides: readonly number[];
}

/** Bytes of the model's files so far, and in all. */
export interface Loading {
  readonly loaded: number;
  readonly total: number;
}

/** From the page to the worker. */
export type Command =
  | { readonly kind: 'open' }
  | { readonly kind: 'draw'; readonly order: Order }
  | { readonly kind: 'cancel' };

/** Why a worker cannot draw: no WebGPU at all, no adapter, or anything else with a message. */
export type FailureReason = 'no-webgpu' | 'no-adapter' | 'model' | 'drawing';

/** From the worker to the page. */
export type Report =
  | ({ readonly kind: 'loading' } & Loading)
  | ({ readonly kind: 'ready' } & Ready)
  | ({ readonly kind: 'scale' } & DrawnScale)
  | { readonly kind: 'finished' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly reason: FailureReason; readonly message: string };
