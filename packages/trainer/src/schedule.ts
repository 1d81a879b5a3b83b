/** How the learning rate falls after the warm-up; `lin0.3` stays nearly flat for that share of the run. */
export type ScheduleKind = 'cos' | 'lin' | 'lin0' | 'lin00' | 'exp' | `lin${number}`;

/** How the learning rate changes over the steps. */
export interface Schedule {
  /** How the learning rate falls behind the warm-up. */
  readonly kind: ScheduleKind;
  /** Learning rate at the end of the warm-up. */
  readonly peak: number;
  /** Steps of linear warm-up. */
  readonly warmup: number;
  /** Share of the peak at the first step. */
  readonly start: number;
  /** Share of the peak at the last step. */
  readonly end: number;
  /** Length of the run. */
  readonly steps: number;
  /** Weight decay at the first step. */
  readonly weightDecay: number;
  /** Weight decay at the last step; a cosine lies between. */
  readonly weightDecayEnd: number;
}

/** Share of the peak after the warm-up, by the share of the run that has passed. */
type Fall = (passed: number, end: number) => number;

/** Flat for a share of the run, then a straight line. */
const flatThenLine =
  (flat: number): Fall =>
  (passed, end) =>
    passed < flat ? 1 : end + ((1 - end) * (1 - passed)) / (1 - flat);

/** A line of two slopes that bends at a share of the run. */
const bentLine =
  (bend: number): Fall =>
  (passed, end) => {
    const middle = (1 + end + (1 - end) * (1 - bend)) / 2;
    return passed < bend ? 1 + ((middle - 1) * passed) / bend : end + ((middle - end) * (1 - passed)) / (1 - bend);
  };

const flatBeforeExponential = 0.15;

const falls: Readonly<Record<string, Fall>> = {
  cos: (passed, end) => end + (1 - end) * (0.5 + 0.5 * Math.cos(Math.PI * passed)),
  lin: flatThenLine(0.15),
  lin0: flatThenLine(0.05),
  lin00: (passed, end) => end + (1 - end) * (1 - passed),
  exp: (passed, end) =>
    passed < flatBeforeExponential
      ? 1
      : Math.exp(((passed - flatBeforeExponential) / (1 - flatBeforeExponential)) * Math.log(end)),
};

/** @throws RangeError for a kind that does not exist. */
function fallOf(kind: ScheduleKind): Fall {
  const known = falls[kind];
  if (known) return known;
  const bend = Number(kind.slice(3));
  if (kind.startsWith('lin') && bend > 0 && bend < 1) return bentLine(bend);
  throw new RangeError(
    `schedule: kind must be cos, lin, lin0, lin00, exp or lin followed by a number in 0..1, got ${kind}.`,
  );
}

/** Learning rate and weight decay of a step, counted from 0. */
export function scheduleAt(schedule: Schedule, step: number): { learningRate: number; weightDecay: number } {
  const { kind, peak, warmup, start, end, steps, weightDecay, weightDecayEnd } = schedule;
  const last = Math.max(1, steps - 1);
  const share =
    step < warmup
      ? start + ((1 - start) * step) / warmup
      : fallOf(kind)((step - warmup) / Math.max(1, last - warmup), end);
  const decay = weightDecayEnd + (weightDecay - weightDecayEnd) * (0.5 + 0.5 * Math.cos((Math.PI * step) / last));
  return { learningRate: peak * share, weightDecay: decay };
}
