import type { Stream } from './picture.ts';

/** Items in groups of `count`; the last may be smaller. */
export async function* inBatches<T>(items: Stream<T>, count: number): AsyncGenerator<T[]> {
  let group: T[] = [];
  for await (const item of items) {
    if (group.push(item) < count) continue;
    yield group;
    group = [];
  }
  if (group.length) yield group;
}
