/** What went wrong: the wrong kind of file, a wrong argument, nothing to pack, a full disk, something absent, another process at work. */
export type PackErrorKind = 'format' | 'argument' | 'empty' | 'disk-full' | 'missing' | 'busy';

/** A fault of a pack, its source or an argument; the message ends with the remedy. */
export class PackError extends Error {
  readonly kind: PackErrorKind;
  /** The file or folder that the message is about, if there is one. */
  readonly path: string | undefined;
  constructor(kind: PackErrorKind, message: string, facts: { path?: string; cause?: unknown } = {}) {
    super(message, { cause: facts.cause });
    this.name = 'PackError';
    this.kind = kind;
    this.path = facts.path;
  }
}

/** Throws a PackError of kind `argument` unless the condition holds. */
export function check(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new PackError('argument', message());
}

/** The error's message, or the thrown value as text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The system's error code (`ENOENT`, or an errno from LMDB), if the thrown value carries one. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** errno of a full disk (ENOSPC), a used-up quota (EDQUOT), a file size limit (EFBIG), a write cut short (EIO). */
const DISK_FULL: ReadonlySet<unknown> = new Set([28, 122, 27, 5, 'ENOSPC', 'EDQUOT', 'EFBIG', 'EIO']);

/** The one clear error for a disk that filled up while writing to `path`; any other error as it is. */
export function explainDiskFull(error: unknown, path: string): unknown {
  if (!DISK_FULL.has(codeOf(error))) return error;
  // LMDB's message goes on with the page that it wrote; the system's part stands before that.
  const [reason] = messageOf(error).split(': Attempting');
  return new PackError(
    'disk-full',
    `pack: disk must have room for the pack, got "${reason}" while writing ${path}. ` +
      'Free some space and pack again, which goes on from there, or pack to another disk; what was there before is unchanged.',
    { path, cause: error },
  );
}
