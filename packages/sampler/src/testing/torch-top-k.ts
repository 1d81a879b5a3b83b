/**
 * Places of the k largest values as PyTorch's topk on a CPU picks them: which of equal ones it takes follows from libstdc++'s nth_element,
 * or partial_sort where k is a 64th of the values at most. The published tokens depend on it, as greedy draws are all equally sure.
 */
export function torchTopK(values: readonly number[], k: number): number[] {
  const pairs = values.map((value, place) => ({ value, place }));
  if (64 * k > pairs.length) selectNth(pairs, k - 1);
  else pairs.sort((a, b) => b.value - a.value);
  return pairs.slice(0, k).map(({ place }) => place);
}

interface Pair {
  readonly value: number;
  readonly place: number;
}

/** std::nth_element by falling value: introselect with the median of three, and an insertion sort of the last three. */
function selectNth(pairs: Pair[], nth: number): void {
  let [first, last] = [0, pairs.length];
  while (last - first > 3) {
    const cut = partition(pairs, first, last);
    if (cut <= nth) first = cut;
    else last = cut;
  }
  pairs.splice(first, last - first, ...pairs.slice(first, last).sort((a, b) => b.value - a.value));
}

const before = (a: Pair, b: Pair): boolean => a.value > b.value;

function swap(pairs: Pair[], i: number, j: number): void {
  [pairs[i], pairs[j]] = [pairs[j]!, pairs[i]!];
}

/** Moves the median of three to the front and splits the rest by it; equal values change sides. */
function partition(pairs: Pair[], first: number, end: number): number {
  swap(pairs, first, medianOfThree(pairs, [first + 1, first + Math.floor((end - first) / 2), end - 1]));
  const pivot = pairs[first]!;
  let [low, high] = [first + 1, end];
  for (;;) {
    while (before(pairs[low]!, pivot)) low++;
    do high--;
    while (before(pivot, pairs[high]!));
    if (low >= high) return low;
    swap(pairs, low++, high);
  }
}

function medianOfThree(pairs: readonly Pair[], [a, b, c]: readonly [number, number, number]): number {
  const [x, y, z] = [pairs[a]!, pairs[b]!, pairs[c]!];
  if (before(x, y)) return before(y, z) ? b : before(x, z) ? c : a;
  return before(x, z) ? a : before(y, z) ? c : b;
}
