/** A wrong argument of an op or a constructor; the message ends with the remedy. */
export class TensorError extends Error {
  readonly op: string;
  constructor(op: string, message: string) {
    super(`${op}: ${message}`);
    this.name = 'TensorError';
    this.op = op;
  }
}

/** Something the GPU reported: a validation error, out of memory, an internal error. */
export class GpuError extends Error {
  readonly kind: 'validation' | 'out-of-memory' | 'internal';
  constructor(kind: 'validation' | 'out-of-memory' | 'internal', message: string) {
    super(message);
    this.name = 'GpuError';
    this.kind = kind;
  }
}

/** The device is gone: every later use of it throws this. */
export class DeviceLostError extends Error {
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(`device lost (${reason}): ${message}. Open a new device; tensors of the lost one cannot be read.`);
    this.name = 'DeviceLostError';
    this.reason = reason;
  }
}

/** Throws a TensorError unless the condition holds. */
export function check(op: string, condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new TensorError(op, message());
}
