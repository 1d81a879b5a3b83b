import { type FileBytes, type ReadFile, readText } from '@star-webgpu/tensor-webgpu';
import { TextError } from './errors.ts';

/** Bytes of a file that need not be there; what a reader says of a missing one differs from place to place. */
export const readOptional = async (read: ReadFile, file: string): Promise<FileBytes | undefined> =>
  read(file).catch(() => undefined);

/** The JSON object that a file's bytes hold. @throws TextError if they hold anything else. */
export async function parseObject(bytes: FileBytes, file: string): Promise<Record<string, unknown>> {
  const text = await readText(bytes);
  const value = parse(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new TextError(
    'loadTextEncoder',
    `${file} must hold a JSON object, got ${JSON.stringify(text.slice(0, 40))}. Fetch it again.`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
