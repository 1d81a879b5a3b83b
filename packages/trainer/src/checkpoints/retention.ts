import { isSound, type TrainingState } from './state.ts';

/** Which checkpoints stay. */
export interface Retention {
  /** The newest ones. */
  readonly keep: number;
  /** Those of every so many steps, for ever; 0 for none. */
  readonly milestoneEvery?: number;
  /** The one of the best score too, if lower or higher ones are better. */
  readonly best?: 'lower' | 'higher';
}

/** The checkpoint of the best score, the older one of equals; none if no score is known. */
export function bestOf(checkpoints: readonly TrainingState[], better: 'lower' | 'higher'): TrainingState | undefined {
  const sign = better === 'lower' ? 1 : -1;
  const rated = checkpoints.filter(({ score }) => score !== undefined);
  return rated.toSorted((a, b) => sign * (a.score! - b.score!) || a.step - b.step)[0];
}

/** Steps of the checkpoints that may go. The newest one that is sound stays whatever happens. */
export function dispensable(
  checkpoints: readonly TrainingState[],
  { keep, milestoneEvery = 0, best }: Retention,
): number[] {
  const newest = checkpoints.toSorted((a, b) => b.step - a.step);
  const isMilestone = (step: number): boolean => milestoneEvery > 0 && step > 0 && step % milestoneEvery === 0;
  const special = [newest.find(isSound), best && bestOf(checkpoints, best)].map((one) => one?.step);
  return newest
    .slice(Math.max(1, keep))
    .map(({ step }) => step)
    .filter((step) => !isMilestone(step) && !special.includes(step));
}
