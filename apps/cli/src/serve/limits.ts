/** What one client may ask for, so that it cannot hold the device or the memory. */
export interface Limits {
  /** Requests that wait while another is drawn. */
  readonly queue: number;
  /** Pictures of one request. */
  readonly count: number;
  /** Characters of a prompt. */
  readonly prompt: number;
  /** Bytes of a body without a picture, and of one with. */
  readonly body: number;
  readonly editBody: number;
  /** Pixels of a given picture, with what is drawn around it. */
  readonly pixels: number;
  /** Milliseconds until a client that reads nothing is let go of. */
  readonly stall: number;
}

export const defaultLimits: Limits = {
  queue: 32,
  count: 4,
  prompt: 2000,
  body: 64 * 1024,
  editBody: 8 * 1024 * 1024,
  pixels: 2048 * 2048,
  stall: 30_000,
};
