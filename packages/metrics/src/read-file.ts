import { MetricError } from './picture.ts';

/** Gives the bytes of a file of a model's folder. */
export type ReadFile = (file: string) => Promise<Uint8Array>;

/** A JSON object of a folder. @throws MetricError if the file holds anything else. */
export async function readJson(op: string, read: ReadFile, file: string): Promise<Record<string, unknown>> {
  const text = new TextDecoder().decode(await read(file));
  const value = parsed(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new MetricError(
    op,
    `${file} must hold a JSON object, got ${JSON.stringify(text.slice(0, 40))}. Fetch or convert it again.`,
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
