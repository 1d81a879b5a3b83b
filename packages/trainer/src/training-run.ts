import {
  checkWeights,
  loadTensors,
  LossScale,
  type ModelFolder,
  type Tensor,
  type WeightsFile,
} from '@star-webgpu/tensor-webgpu';
import { gatherFiles } from './checkpoints/gather.ts';
import type { Checkpoint } from './checkpoints/open.ts';
import { Score } from './checkpoints/score.ts';
import { isSound, type Rollback, type TrainingState } from './checkpoints/state.ts';
import { CheckpointStore } from './checkpoints/store.ts';
import type { CheckpointContent } from './checkpoints/write.ts';
import { beginTogether, checkSameWeights } from './distributed/agree.ts';
import { type Communicator, singleProcess } from './distributed/communicator.ts';
import { anyRank } from './distributed/gather.ts';
import { OpposedAdamW, type Optimizer } from './opposed-adamw.ts';
import { AdamW } from './optimizer.ts';
import { Pace } from './pace.ts';
import { scheduleAt } from './schedule.ts';
import { SpikeGuard } from './spike-guard.ts';
import type { TrainingBatch } from './stage.ts';
import { TrainStep } from './step.ts';
import type { StepReport, TrainOptions } from './train.ts';

/** A run of training: where it stands, and what it owns on the device and on the disk. */
export class TrainingRun {
  /** Steps done. */
  done = 0;
  private readonly options: TrainOptions;
  private readonly communicator: Communicator;
  private readonly lossScale: LossScale | undefined;
  private readonly optimizer: Optimizer;
  private readonly step: TrainStep;
  private readonly checkpoints: CheckpointStore;
  private readonly guard: SpikeGuard | undefined;
  private readonly score: Score;
  private readonly pace = new Pace();
  private cursor: TrainingBatch['cursor'] = { epoch: 0, step: 0 };
  private skipped = 0;
  private rollbacks: readonly Rollback[] = [];
  /** A checkpoint is wanted as soon as nothing casts doubt on the weights. */
  private due = false;
  private hasTold = false;

  constructor(options: TrainOptions) {
    const { stage, folder, keep, milestoneEvery, best, guard, averageDecay } = options;
    this.options = options;
    this.communicator = options.communicator ?? singleProcess;
    this.lossScale = wantsLossScale(options) ? new LossScale() : undefined;
    const own = new AdamW(stage.parameters(), {
      ...(this.lossScale && { lossScale: this.lossScale }),
      averageDecay,
    });
    this.optimizer = stage.opponent ? new OpposedAdamW(own, stage.opponent) : own;
    this.step = new TrainStep(stage, this.optimizer, options);
    this.checkpoints = new CheckpointStore(folder, {
      keep,
      ...(milestoneEvery && { milestoneEvery }),
      ...(best && { best: best.better ?? 'lower' }),
    });
    this.guard = guard && new SpikeGuard(guard);
    this.score = new Score(best?.metric ?? 'loss');
  }

  /** True for the one process that writes and calls back. */
  private get isFirst(): boolean {
    return this.communicator.rank === 0;
  }

  /** All that moves, the opponent's too. */
  private weights(): Map<string, Tensor> {
    const { stage } = this.options;
    return new Map([...stage.parameters(), ...(stage.opponent?.parameters() ?? [])]);
  }

  /** Goes on from the newest whole checkpoint, if there is any. */
  async begin(): Promise<void> {
    const { communicator } = this;
    const onNotice = this.isFirst ? this.options.onNotice : undefined;
    if (this.isFirst) await this.checkpoints.open();
    await communicator.barrier();
    const found = await this.checkpoints.latest((broken, reason) =>
      onNotice?.(`checkpoint ${broken} is broken (${reason}); the one before it is used`),
    );
    if (found) await this.restore(found);
    await beginTogether(communicator, this.weights(), { step: this.done, cursor: this.cursor });
    if (found) {
      if (this.isFirst) await this.checkpoints.setAsideAfter(this.done);
      onNotice?.(`going on from step ${this.done} of ${found.folder}`);
    } else if (this.guard) await this.save();
  }

  /** Takes steps to the end of the schedule, or to the one behind which the signal is given. */
  async toEnd(): Promise<void> {
    const { schedule } = this.options;
    if (this.done < schedule.steps && !(await this.isStopped())) await this.takeSteps();
    await this.checkpoints.finish();
    if (this.done >= schedule.steps) this.optimizer.finish();
  }

  private async takeSteps(): Promise<void> {
    const { schedule, batches, accumulate = 1 } = this.options;
    for await (const group of grouped(batches(this.cursor), accumulate)) {
      const report = await this.take(group);
      if (this.guard?.hasDiverged(report.loss)) {
        await this.goBack(report);
        continue;
      }
      const stop = this.done >= schedule.steps || (await this.isStopped());
      this.due ||= this.isMarked();
      if (stop || (this.due && !this.guard?.streak)) await this.save();
      if (stop) return;
    }
  }

  /** True if the signal was given to any rank. */
  private isStopped(): Promise<boolean> {
    return anyRank(this.communicator, this.options.signal?.aborted ?? false);
  }

  /** Waits for a checkpoint that is being written, and frees everything. */
  async close(): Promise<void> {
    await this.checkpoints.close();
    this.step.dispose();
    this.optimizer.dispose();
    this.lossScale?.dispose();
  }

  /** One step of a group of batches, and what is told of it. */
  private async take(batches: readonly TrainingBatch[]): Promise<StepReport> {
    const { schedule, clipNorm, onStep } = this.options;
    const rates = scheduleAt(schedule, this.done);
    const numbers = await this.step.run(batches, { step: this.done, clipNorm, ...rates });
    this.checkpoints.check();
    if (!Number.isFinite(numbers.gradientNorm)) this.skip();
    const rollback = this.rollbacks.findLast(({ to }) => to === this.done);
    this.done++;
    this.cursor = batches.at(-1)!.cursor;
    const images = batches.reduce((sum, { shape }) => sum + shape[0], 0);
    const imagesPerSecond = this.pace.tick(images * this.communicator.size);
    const evaluation = await this.evaluate();
    const report: StepReport = {
      ...numbers,
      step: this.done,
      steps: schedule.steps,
      epoch: this.cursor.epoch,
      learningRate: rates.learningRate,
      skipped: this.skipped,
      imagesPerSecond,
      eta: (schedule.steps - this.done) * this.pace.seconds,
      ...(evaluation && { evaluation }),
      ...(rollback && { rollback }),
    };
    if (this.isFirst) await onStep?.(report, (run) => this.optimizer.averaged(run));
    this.score.note({ ...report.metrics, loss: report.loss, ...evaluation });
    return report;
  }

  /** Counts a step that changed nothing. */
  private skip(): void {
    this.skipped++;
    this.optimizer.uncount();
  }

  /** The numbers of a step that is evaluated. */
  private async evaluate(): Promise<StepReport['evaluation']> {
    const { evaluation, schedule } = this.options;
    if (!evaluation || !this.isFirst || (this.done % evaluation.every !== 0 && this.done < schedule.steps))
      return undefined;
    return this.optimizer.averaged(() => evaluation.measure(this.done));
  }

  private isMarked(): boolean {
    const { saveEvery, milestoneEvery } = this.options;
    return this.done % saveEvery === 0 || (milestoneEvery !== undefined && this.done % milestoneEvery === 0);
  }

  /** Begins a checkpoint of what is on the device now; waits only for the one before it. */
  private async save(): Promise<void> {
    await this.checkpoints.finish();
    this.due = false;
    await checkSameWeights(this.communicator, this.weights());
    if (!this.isFirst) return;
    this.tellMissing();
    this.checkpoints.begin(this.done, this.content());
  }

  /** Says once, at the first checkpoint, that nothing will be known to be the best. */
  private tellMissing(): void {
    const missing = this.options.best && !this.hasTold && this.score.missing();
    if (!missing) return;
    this.hasTold = true;
    this.options.onNotice?.(missing);
  }

  /** Everything is copied before the first wait. */
  private async content(): Promise<CheckpointContent> {
    const files = gatherFiles(this.folder());
    const [state, lossScale] = [this.state(), this.lossScale?.read()];
    return { files: await files, state: { ...state, ...(lossScale && { lossScale: await lossScale }) } };
  }

  private state(): TrainingState {
    const { stage, seed } = this.options;
    const score = this.score.take();
    return {
      stage: stage.name,
      step: this.done,
      cursor: this.cursor,
      seed,
      stageState: structuredClone(stage.state?.()),
      skipped: this.skipped,
      updates: this.optimizer.steps,
      ...(this.guard && { guard: this.guard.state(), rollbacks: this.rollbacks }),
      ...(score !== undefined && { score }),
    };
  }

  /** The files of a checkpoint beside its state. */
  private folder(): ModelFolder {
    const model = [...this.options.stage.checkpointFolder()].map(([path, file]) => [`model/${path}`, file] as const);
    return new Map([...model, ['optimizer.safetensors', { tensors: this.optimizer.moments() }]]);
  }

  private async restore({ folder, state, open }: Checkpoint): Promise<void> {
    const { stage, seed } = this.options;
    if (state.stage !== stage.name || state.seed !== seed)
      throw new Error(
        `train: ${folder} must hold a run of stage ${stage.name} with seed ${seed}, got stage ${state.stage} with seed ${state.seed}. Use another folder.`,
      );
    if (state.stageState !== undefined) stage.restoreState?.(state.stageState);
    for (const [path, file] of stage.checkpointFolder())
      if (!(file instanceof Uint8Array)) await restoreFile(path, file, await open(`model/${path}`));
    await this.optimizer.load(await open('optimizer.safetensors'), state.updates ?? state.step);
    this.done = state.step;
    this.cursor = state.cursor;
    this.skipped = state.skipped ?? 0;
    this.rollbacks = state.rollbacks ?? [];
    if (state.lossScale) this.lossScale?.load(state.lossScale);
    if (state.guard) this.guard?.load(state.guard);
  }

  /** Puts the run back to the last good checkpoint, but leaves the data where it is: the batches since are not seen again. */
  private async goBack({ loss }: StepReport): Promise<void> {
    const { guard, onNotice } = this.options;
    const { communicator, cursor, done: from, skipped } = this;
    const limit = this.guard!.limit;
    await this.checkpoints.finish();
    const reason = `the loss left its course: ${guard!.patience} steps in a row above ${limit.toPrecision(4)}, ${loss.toPrecision(4)} at step ${from}`;
    if (this.rollbacks.length >= guard!.rollbacks)
      throw new Error(
        `train: ${reason}, after ${this.rollbacks.length} times of going back. The last good checkpoint is kept. Lower the learning rate or the clip norm, look at the data behind this step, or allow more.`,
      );
    await communicator.barrier();
    const found = await this.checkpoints.latest(() => {}, isSound);
    if (!found) throw new Error(`train: ${reason}, and there is no good checkpoint to go back to. Use another folder.`);
    const rollback = { from, to: found.state.step, loss: Number.isFinite(loss) ? loss : null, limit };
    await this.restore(found);
    await communicator.barrier();
    if (this.isFirst) await this.checkpoints.dropAfter(found.state.step);
    this.cursor = cursor;
    this.skipped = skipped;
    this.rollbacks = [...this.rollbacks, rollback];
    if (this.isFirst) onNotice?.(`${reason}; going back to step ${this.done}, past the batches since`);
    // From here on a run that is killed does not meet those batches again.
    await this.save();
  }
}

/** Halves that are computed with, or that travel, overflow and vanish without one. */
const wantsLossScale = ({ precision, wire, communicator = singleProcess }: TrainOptions): boolean =>
  precision === 'f16' || (wire === 'f16' && communicator.size > 1);

/** Batches in groups of one size; a rest that does not fill one is left out. */
async function* grouped(batches: AsyncIterable<TrainingBatch>, size: number): AsyncGenerator<TrainingBatch[]> {
  let group: TrainingBatch[] = [];
  for await (const batch of batches) {
    group.push(batch);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
}

/** Puts a file's tensors back where they were. @throws WeightsError if they are another model's */
async function restoreFile(
  path: string,
  { tensors }: WeightsFile,
  stored: Parameters<typeof loadTensors>[1],
): Promise<void> {
  const needed = new Map([...tensors].map(([name, { shape }]) => [name, shape]));
  checkWeights(path, { needed, given: stored });
  await loadTensors(tensors, stored);
}
