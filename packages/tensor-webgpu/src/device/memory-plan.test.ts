import { describe, expect, it } from 'vitest';
import { hostRandom } from '../nn/host-random.ts';
import type { PooledBuffer } from './buffer-pool.ts';
import { planMemory } from './memory-plan.ts';
import type { RecordedCommand, Recording } from './recorder.ts';

const promise = (id: number, bytes: number): PooledBuffer => ({
  id,
  bytes,
  buffer: undefined!,
  lastUse: -1,
  generation: 0,
});

/** Copies between buffers drawn at random: each command reads one of the last ten and writes the next. */
function recordingOf(seed: number): Recording {
  const random = hostRandom(seed);
  const buffers = Array.from({ length: 200 }, (_, id) => promise(id, 256 * (1 + Math.floor(random.uniform() * 64))));
  const commands = buffers.slice(1).map((target, i): RecordedCommand => {
    const source = buffers[Math.max(0, i - Math.floor(random.uniform() * 10))]!;
    return { kind: 'copy', source, sourceOffset: 0, target, targetOffset: 0, bytes: 4 };
  });
  const data = new Uint8Array(4);
  return {
    commands,
    constants: [{ target: buffers[0]!, data }],
    results: new Set([buffers[120]!]),
    outside: new Map([[buffers[50]!, 0]]),
  };
}

const usesOf = ({ commands }: Recording, buffer: PooledBuffer): number[] =>
  commands.flatMap((command, at) =>
    command.kind === 'copy' && (command.source === buffer || command.target === buffer) ? [at] : [],
  );

describe('planMemory', () => {
  it.each([1, 2, 3, 4, 5])('never lets two buffers of a slot live at once, nor one outgrow it (seed %i)', (seed) => {
    const recording = recordingOf(seed);
    for (const { bytes, tenants } of planMemory(recording)) {
      const spans = tenants
        .map((buffer) => usesOf(recording, buffer))
        .map((uses) => [uses[0]!, uses.at(-1)!] as const)
        .toSorted((a, b) => a[0] - b[0]);
      for (const [i, span] of spans.slice(1).entries()) expect(span[0]).toBeGreaterThan(spans[i]![1]);
      for (const tenant of tenants) expect(tenant.bytes).toBeLessThanOrEqual(bytes);
    }
  });

  it('places every buffer made inside once, none from outside, and lets constants and results alone', () => {
    const recording = recordingOf(7);
    const slots = planMemory(recording);
    const placed = slots.flatMap(({ tenants }) => tenants.map(({ id }) => id)).toSorted((a, b) => a - b);
    expect(placed).toEqual(Array.from({ length: 200 }, (_, id) => id).filter((id) => id !== 50));
    for (const id of [0, 120])
      expect(slots.find(({ tenants }) => tenants.some((t) => t.id === id))!.tenants).toHaveLength(1);
  });

  it('needs little more memory than lives at the fullest moment', () => {
    // Constants and results own their memory by design, so they are left out.
    const recording = { ...recordingOf(11), constants: [], results: new Set<PooledBuffer>() };
    const lifetimes = [...new Set(recording.commands.flatMap((c) => (c.kind === 'copy' ? [c.source, c.target] : [])))];
    const fullest = Math.max(
      ...recording.commands.map((_, at) =>
        lifetimes
          .filter((buffer) => usesOf(recording, buffer)[0]! <= at && usesOf(recording, buffer).at(-1)! >= at)
          .reduce((sum, { bytes }) => sum + bytes, 0),
      ),
    );
    const planned = planMemory(recording).reduce((sum, { bytes }) => sum + bytes, 0);
    expect(planned).toBeLessThan(1.5 * fullest);
  });
});
