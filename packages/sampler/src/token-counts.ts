/** To the nearest whole number, halves to the even one, as NumPy rounds. */
const roundHalfToEven = (value: number): number => {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
};

/**
 * Tokens that each step of stable sampling fixes: few at first, when little is known, more and more later (STAR, section 3.4).
 * Step k of K has the share of arccos(1 - k/(K-1)), at least one token; the last step takes what is left. A map of fewer tokens than
 * steps takes fewer steps.
 */
export function tokenCounts(tokens: number, steps: number): number[] {
  const weights = Array.from(
    { length: steps },
    (_, k) => Math.acos(steps > 1 ? k * (-1 / (steps - 1)) + 1 : 1) / (Math.PI / 2),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const counts: number[] = [];
  let left = tokens;
  for (const [k, weight] of weights.entries()) {
    const share = Math.max(1, roundHalfToEven((weight / total) * tokens));
    const count = k === steps - 1 ? left : Math.min(share, left);
    if (count > 0) counts.push(count);
    left -= count;
  }
  return counts;
}
