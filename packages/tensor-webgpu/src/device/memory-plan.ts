import type { PooledBuffer } from './buffer-pool.ts';
import { type RecordedCommand, type Recording, touched } from './recorder.ts';

/** Buffers of a recording that take turns in one piece of memory. */
export interface MemorySlot {
  readonly bytes: number;
  readonly tenants: readonly PooledBuffer[];
  /** A constant or a result: its content outlasts a run. */
  readonly lasting: boolean;
}

/** From the first to the last command that touches a buffer. */
interface Lifetime {
  readonly buffer: PooledBuffer;
  first: number;
  last: number;
}

/**
 * Shares memory between buffers that are never needed at once: largest first, each into the smallest slot that is free for its
 * whole lifetime. Constants and results keep a slot of their own. Shared slots come largest first.
 */
export function planMemory({ commands, constants, results, outside }: Recording): MemorySlot[] {
  const lasting = new Set([...constants.map(({ target }) => target), ...results]);
  const lifetimes = [...lifetimesOf(commands, outside)].filter(({ buffer }) => !lasting.has(buffer));
  const shared: { bytes: number; tenants: Lifetime[] }[] = [];
  for (const lifetime of lifetimes.toSorted((a, b) => b.buffer.bytes - a.buffer.bytes || a.first - b.first)) {
    const slot = shared.findLast(({ tenants }) => tenants.every((tenant) => areApart(tenant, lifetime)));
    if (slot) slot.tenants.push(lifetime);
    else shared.push({ bytes: lifetime.buffer.bytes, tenants: [lifetime] });
  }
  return [
    ...[...lasting].map((buffer) => ({ bytes: buffer.bytes, tenants: [buffer], lasting: true })),
    ...shared.map(({ bytes, tenants }) => ({ bytes, tenants: tenants.map(({ buffer }) => buffer), lasting: false })),
  ];
}

function lifetimesOf(
  commands: readonly RecordedCommand[],
  outside: ReadonlyMap<PooledBuffer, number>,
): Iterable<Lifetime> {
  const lifetimes = new Map<PooledBuffer, Lifetime>();
  commands.forEach((command, at) => {
    for (const buffer of touched(command)) {
      if (outside.has(buffer)) continue;
      const known = lifetimes.get(buffer);
      if (known) known.last = at;
      else lifetimes.set(buffer, { buffer, first: at, last: at });
    }
  });
  return lifetimes.values();
}

const areApart = (a: Lifetime, b: Lifetime): boolean => a.last < b.first || b.last < a.first;
