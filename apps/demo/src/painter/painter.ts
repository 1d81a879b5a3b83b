/** What one picture is drawn by. */
export interface Order {
  readonly prompt: string;
  readonly seed: number;
  readonly guidance: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly smooth: boolean;
  /** Draws large scales in steps; says nothing to a model without a refiner. */
  readonly refine: boolean;
}

/** The numbers of an order, without its words and its seed. */
export type Settings = Omit<Order, 'prompt' | 'seed'>;

/** A picture as a canvas holds it. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** RGBA bytes, row-major. */
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** A picture of which a part is drawn anew. */
export interface Redrawing {
  readonly original: Pixels;
  /** 1 where to draw, 0 elsewhere; a byte a pixel of the original, which is all drawn without one. */
  readonly mask?: Uint8Array<ArrayBuffer>;
  /** Scales that stay, from the first; none by default. */
  readonly keepScales?: number;
}

/** Where a word of the prompt acts: its share of the attention at each token of a scale, row by row. */
export interface WordMap {
  readonly word: string;
  /** From 0. */
  readonly scale: number;
  readonly width: number;
  readonly height: number;
  readonly shares: Float32Array<ArrayBuffer>;
}

/** One finished scale of a picture. */
export interface DrawnScale {
  /** From 0. */
  readonly scale: number;
  readonly milliseconds: number;
  readonly pixels: Pixels;
}

/** What a page needs to know of a model. */
export interface ModelFacts {
  readonly name: string;
  /** Where it is: it comes with the site, lies in a person's folder, or draws at a server. */
  readonly place: 'site' | 'folder' | 'server';
  /** Tokens along a side of each scale. */
  readonly sides: readonly number[];
  readonly codebookSize: number;
  readonly hasRefiner: boolean;
  /** What the model is best drawn with. */
  readonly settings: Settings;
}

/** A painter that has its model. */
export interface Ready {
  /** Who draws: a graphics adapter's name. */
  readonly adapter: string;
  readonly model: ModelFacts;
}

/** Bytes of the model's files so far, and in all. */
export interface Loading {
  readonly loaded: number;
  readonly total: number;
}

/** Why a painter cannot draw. */
export type FailureReason = 'no-webgpu' | 'no-adapter' | 'memory' | 'model' | 'folder' | 'server' | 'token' | 'drawing';

/** The painter cannot go on; `reason` says what a page should explain. */
export class PainterError extends Error {
  readonly reason: FailureReason;

  constructor(reason: FailureReason, message: string) {
    super(message);
    this.name = 'PainterError';
    this.reason = reason;
  }
}

/** What is told of a picture while it is drawn. */
export interface Progress {
  onScale(scale: DrawnScale): void;
  /** How many pictures of others are drawn before, whenever that changes. */
  onPlace(before: number): void;
}

/** Draws pictures for the page, one at a time, wherever it does so. */
export interface Painter {
  /** Gets the model ready. @throws PainterError */
  open(onLoading: (loading: Loading) => void): Promise<Ready>;
  /** Draws a picture or a part of one, scale by scale. -> where its words act, or undefined if it was cancelled. @throws PainterError */
  draw(order: Order, progress: Progress, redrawing?: Redrawing): Promise<readonly WordMap[] | undefined>;
  /** Stops the picture that is being drawn, behind its running scale. */
  cancel(): void;
  /** Lets go of the model. */
  close(): void;
}

/** A file of a person's own model, by its path inside the folder. */
export interface FolderFile {
  readonly path: string;
  readonly file: File;
}

/** A person's own model. */
export interface ModelFolder {
  readonly name: string;
  readonly files: readonly FolderFile[];
}
