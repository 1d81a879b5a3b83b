/** A picture on the host. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** RGB bytes, [H, W, 3] row-major. */
  readonly data: Uint8Array;
}

/** Pictures, or whatever holds them, one after the other. */
export type Stream<T> = AsyncIterable<T> | Iterable<T>;

/** Pictures or numbers that cannot be measured; the message ends with the remedy. */
export class MetricError extends Error {
  readonly metric: string;

  constructor(metric: string, message: string) {
    super(`${metric}: ${message}`);
    this.name = 'MetricError';
    this.metric = metric;
  }
}

const sizeOf = ({ width, height }: Picture): string => `${width}x${height}`;

/** @throws MetricError unless the bytes fill the picture. */
export function checkPicture(metric: string, picture: Picture): void {
  const bytes = picture.width * picture.height * 3;
  if (picture.data.length === bytes && bytes > 0) return;
  throw new MetricError(
    metric,
    `data must hold ${bytes} bytes for ${sizeOf(picture)} RGB, got ${picture.data.length}. Drop an alpha channel first.`,
  );
}

/** @throws MetricError unless both pictures are whole and of one size. */
export function checkPair(metric: string, got: Picture, want: Picture): void {
  checkPicture(metric, got);
  checkPicture(metric, want);
  if (got.width === want.width && got.height === want.height) return;
  throw new MetricError(metric, `pictures must have one size, got ${sizeOf(got)} and ${sizeOf(want)}. Resize one.`);
}
