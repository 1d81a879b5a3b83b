import type { Models } from './generate.ts';

/** Models that do not belong together; lists every difference at once. */
export class ModelsError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      `generate: models must belong together, got ${faults.join('; ')}. Load models that were trained on each other.`,
    );
    this.name = 'ModelsError';
    this.faults = faults;
  }
}

/** Refuses a transformer that speaks of other tokens than the VQVAE, or of another text tower. @throws ModelsError */
export function checkModels({ star, vqvae }: Models, textWidth: number): void {
  const faults = (['patchNumbers', 'codebookSize', 'codeWidth'] as const)
    .map((field) => [field, String(star.config[field]), String(vqvae.config[field])] as const)
    .filter(([, ours, theirs]) => ours !== theirs)
    .map(([field, ours, theirs]) => `${field} ${ours} of the transformer and ${theirs} of the VQVAE`);
  if (star.config.textWidth !== textWidth)
    faults.push(`textWidth ${star.config.textWidth} of the transformer and ${textWidth} of the text`);
  if (faults.length) throw new ModelsError(faults);
}
