/** A torch file that is damaged, of another format, or holds what no tensor needs; the message names it. Nothing of a file is ever executed. */
export class TorchFileError extends Error {
  constructor(message: string) {
    super(`torch: ${message}`);
    this.name = 'TorchFileError';
  }
}

/** A value as a message shows it: short, whatever a file put there. */
export const shown = (value: unknown): string => {
  const text = typeof value === 'string' ? JSON.stringify(value) : Array.isArray(value) ? '[...]' : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
};

/** Throws a TorchFileError unless the condition holds. */
export function expectThat(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new TorchFileError(message());
}
