import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';

/** A control group of Linux that holds processes to so much memory, page cache included. */
export interface MemoryGroup {
  /** Which mechanism it is. */
  readonly kind: string;
  add(processId: number): void;
  /** Bytes that it held at most. */
  peak(): number;
  remove(): void;
}

const VERSIONS = [
  { kind: 'cgroup v2', root: '/sys/fs/cgroup', mark: 'cgroup.controllers', limit: 'memory.max', peak: 'memory.peak' },
  {
    kind: 'cgroup v1',
    root: '/sys/fs/cgroup/memory',
    mark: 'memory.limit_in_bytes',
    limit: 'memory.limit_in_bytes',
    peak: 'memory.max_usage_in_bytes',
  },
] as const;

/** A group of at most so many bytes; undefined where this process may not make one. */
export function memoryGroup(bytes: number): MemoryGroup | undefined {
  const version = VERSIONS.find(({ root, mark }) => existsSync(`${root}/${mark}`));
  if (version === undefined) return undefined;
  const folder = `${version.root}/star-soak-${process.pid}`;
  try {
    mkdirSync(folder);
    writeFileSync(`${folder}/${version.limit}`, String(bytes));
  } catch {
    return undefined;
  }
  return {
    kind: version.kind,
    add: (processId) => writeFileSync(`${folder}/cgroup.procs`, String(processId)),
    peak: () => Number(readFileSync(`${folder}/${version.peak}`, 'utf8')),
    remove: () => rmdirSync(folder),
  };
}
