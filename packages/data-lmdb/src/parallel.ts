/**
 * Applies an asynchronous function to each item and yields the results in the items' order.
 * At most `ahead` calls are begun beyond what the consumer has taken, so a slow consumer holds back the producer.
 */
export async function* mapOrdered<Item, Result>(
  items: Iterable<Item>,
  ahead: number,
  apply: (item: Item) => Promise<Result>,
): AsyncGenerator<Result, void, undefined> {
  const pending: Promise<Result>[] = [];
  for (const item of items) {
    pending.push(begin(apply, item));
    if (pending.length >= ahead) yield await (pending.shift() as Promise<Result>);
  }
  for (const result of pending) yield await result;
}

/** A rejection waits for its turn in the queue; until then nobody awaits it, which must not end the process. */
function begin<Item, Result>(apply: (item: Item) => Promise<Result>, item: Item): Promise<Result> {
  const result = apply(item);
  result.catch(() => undefined);
  return result;
}
