/** A tokenizer, a config or a batch of prompts that cannot be used; the message ends with the remedy. */
export class TextError extends Error {
  readonly op: string;

  constructor(op: string, message: string) {
    super(`${op}: ${message}`);
    this.name = 'TextError';
    this.op = op;
  }
}
