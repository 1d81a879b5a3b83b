/** Training that begins with the coarse scales and adds the others one by one, as the code of VAR and STAR does where it is asked to. */
export interface Progressive {
  /** Index of the finest scale at the beginning, counted from 0. */
  readonly from: number;
  /** Step up to which none is added: the end of the learning rate's warm-up, or later. */
  readonly begin: number;
  /** Step from which all scales are trained. */
  readonly end: number;
  /** Steps over which the loss of an added scale comes to its full weight. */
  readonly warmup: number;
}

/** The scales that a step trains. */
export interface TrainedScales {
  /** Index of the finest. */
  readonly last: number;
  /** Weight of the finest one's loss beside those of the others. */
  readonly weight: number;
}

/** Least weight of a scale that has just been added. */
const leastWeight = 0.01;

/** The scales that a step trains, counted from 0; scales are added at even distances between `begin` and `end`. */
export function trainedScales(progressive: Progressive, scales: number, step: number): TrainedScales {
  const { from, warmup } = progressive;
  const last = finestAt(progressive, scales, step);
  // The first scales come with the warm-up of the learning rate; the last stage is the plain training.
  if (last <= from || last === scales - 1 || warmup === 0) return { last, weight: 1 };
  const since = step - firstStep(progressive, scales, { last, step }) + 1;
  return { last, weight: Math.max(leastWeight, Math.min(1, since / warmup)) };
}

function finestAt({ from, begin, end }: Progressive, scales: number, step: number): number {
  if (step <= begin) return Math.min(from, scales - 1);
  if (step >= end) return scales - 1;
  return from + roundHalfEven(((step - begin) / (end - begin)) * (scales - 1 - from));
}

/** The step that added the finest scale of a step: stages follow each other, so that halving finds it. */
function firstStep(progressive: Progressive, scales: number, { last, step }: { last: number; step: number }): number {
  let [before, within] = [progressive.begin, step];
  while (within - before > 1) {
    const middle = Math.floor((before + within) / 2);
    if (finestAt(progressive, scales, middle) === last) within = middle;
    else before = middle;
  }
  return within;
}

/** As Python rounds. */
function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below + (below % 2);
}
