import { DeviceLostError, type FileBytes, GpuError, type ReadFile } from '@star-webgpu/tensor-webgpu';

/** A file of a model's folder that is missing, damaged or of another model; `cause` is what its loader says. */
export class ModelFolderError extends Error {
  /** The file, by its path inside the folder. */
  readonly path: string;

  constructor(path: string, cause: unknown) {
    super(`${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'ModelFolderError';
    this.path = path;
  }
}

/** Loads one part of a model from its folder. @throws ModelFolderError naming the file at fault, or what the device says */
export async function loadPart<T>(read: ReadFile, folder: string, load: (files: ReadFile) => Promise<T>): Promise<T> {
  // A reader that fails is to blame for its own file; any other fault is found right after its file was read.
  const unreadable = new Map<unknown, string>();
  let latest = 'config.json';
  const files = async (path: string): Promise<FileBytes> => {
    try {
      const bytes = await read(`${folder}/${path}`);
      latest = path;
      return bytes;
    } catch (fault) {
      unreadable.set(fault, path);
      throw fault;
    }
  };
  try {
    return await load(files);
  } catch (fault) {
    if (fault instanceof GpuError || fault instanceof DeviceLostError) throw fault;
    throw new ModelFolderError(`${folder}/${unreadable.get(fault) ?? latest}`, fault);
  }
}
