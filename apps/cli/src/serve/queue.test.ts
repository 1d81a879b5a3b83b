import { describe, expect, it } from 'vitest';
import { QueueFullError, WorkQueue } from './queue.ts';

const never = new AbortController().signal;

/** Work that ends when it is told to. */
function held(): { work: () => Promise<string>; end: () => void; fail: () => void } {
  let [end, fail] = [(): void => undefined, (): void => undefined];
  const done = new Promise<string>((resolve, reject) => {
    end = () => resolve('done');
    fail = () => reject(new Error('broken'));
  });
  return { work: () => done, end, fail };
}

describe('WorkQueue', () => {
  it('runs one at a time in the order of asking and tells places', async () => {
    const queue = new WorkQueue(8);
    const order: number[] = [];
    const places: [number, number][] = [];
    const first = held();
    const all = [
      queue.run(first.work, { signal: never }),
      ...[1, 2, 3].map((name) =>
        queue.run(
          async () => {
            order.push(name);
            expect(queue.busy).toBe(true);
          },
          { signal: never, onPlace: (before) => places.push([name, before]) },
        ),
      ),
    ];
    await Promise.resolve();
    expect([queue.waiting, queue.busy]).toEqual([3, true]);
    first.end();
    await Promise.all(all);
    expect(order).toEqual([1, 2, 3]);
    expect(places).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
      [2, 1],
      [3, 2],
      [3, 1],
    ]);
    expect([queue.waiting, queue.busy]).toEqual([0, false]);
  });

  it('turns away who comes when it is full, and takes the next once there is room', async () => {
    const queue = new WorkQueue(1);
    const first = held();
    const running = queue.run(first.work, { signal: never });
    const waiting = queue.run(async () => 'second', { signal: never });
    await expect(queue.run(async () => 'third', { signal: never })).rejects.toThrow(QueueFullError);
    first.end();
    expect([await running, await waiting]).toEqual(['done', 'second']);
    expect(await queue.run(async () => 'fourth', { signal: never })).toBe('fourth');
  });

  it('lets go of who gives up, and goes on after a failure', async () => {
    const queue = new WorkQueue(4);
    const [first, gone] = [held(), new AbortController()];
    const running = queue.run(first.work, { signal: never });
    const left = queue.run(async () => 'never', { signal: gone.signal });
    const last = queue.run(async () => 'last', { signal: never });
    gone.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    expect(queue.waiting).toBe(1);
    first.fail();
    await expect(running).rejects.toThrow('broken');
    expect(await last).toBe('last');
    await expect(queue.run(async () => 'late', { signal: gone.signal })).rejects.toThrow('gone');
  });
});
