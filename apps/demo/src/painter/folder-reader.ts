import type { ByteSource, ReadFile } from '@star-webgpu/tensor-webgpu';
import { type FolderFile, type Loading, type ModelFolder, PainterError } from './painter.ts';

const parts = ['star', 'vqvae', 'text'];

/** Reads the files of a person's folder where they lie, piece by piece. @throws PainterError if it is no folder of a model */
export function readerOf({ name, files }: ModelFolder, onLoading: (loading: Loading) => void): ReadFile {
  const inside = modelInside(files);
  const missing = parts.filter((part) => ![...inside.keys()].some((path) => path.startsWith(`${part}/`)));
  if (missing.length)
    throw new PainterError(
      'folder',
      `${name} must hold the folders star, vqvae and text, got no ${missing.join(', no ')}.`,
    );
  const total = [...inside.values()].reduce((sum, { size }) => sum + size, 0);
  let loaded = 0;
  const count = (bytes: number): void => onLoading({ loaded: Math.min((loaded += bytes), total), total });
  return async (path) => {
    const file = inside.get(path);
    if (!file) throw new Error(`the file is missing from ${name}`);
    return sourceOf(file, count);
  };
}

/** What of a folder is its model's, by paths from where the model begins. */
export const modelFiles = ({ files }: ModelFolder): FolderFile[] =>
  [...modelInside(files)]
    .map(([path, file]) => ({ path, file }))
    .filter(({ path }) => /^((star|vqvae|text)\/|(sampling\.json|prompts\.txt)$)/.test(path));

/** Files by their path from the folder that holds `star`, wherever in the given one that is. */
function modelInside(files: readonly FolderFile[]): ReadonlyMap<string, File> {
  const roots = files.flatMap(({ path }) => /^(.*?)(?:star|vqvae|text)\/config\.json$/.exec(path)?.[1] ?? []);
  const root = roots.toSorted((a, b) => a.length - b.length)[0] ?? '';
  return new Map(
    files.filter(({ path }) => path.startsWith(root)).map(({ path, file }) => [path.slice(root.length), file]),
  );
}

const sourceOf = (file: File, onRead: (bytes: number) => void): ByteSource => ({
  size: file.size,
  read: async (offset, length) => {
    const bytes = new Uint8Array(await file.slice(offset, offset + length).arrayBuffer());
    onRead(bytes.byteLength);
    return bytes;
  },
});
