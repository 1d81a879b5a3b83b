import { join } from 'node:path';
import type { StepReport } from '../train.ts';
import type { EncodedPicture } from './event.ts';
import { EventFile } from './event-file.ts';
import { histogramOf } from './histogram.ts';
import { LineLog } from './line-log.ts';

/** Scalars of a report by tag: `loss`, `gradientNorm`, what the stage measures, and `evaluation/...` where it was evaluated. */
function scalarsOf(report: StepReport): Record<string, number> {
  const { loss, gradientNorm, learningRate, skipped, imagesPerSecond, epoch, metrics, evaluation = {} } = report;
  const evaluated = Object.entries(evaluation).map(([name, value]) => [`evaluation/${name}`, value]);
  return {
    loss,
    gradientNorm,
    learningRate,
    skipped,
    imagesPerSecond,
    epoch,
    ...metrics,
    ...Object.fromEntries(evaluated),
  };
}

/** The files that a log is written to. */
interface LogFiles {
  readonly lines: LineLog;
  readonly events: EventFile;
}

/**
 * What a run leaves for those who watch it: `log.jsonl` with a line a step, and TensorBoard's event files. A run that goes on from an
 * earlier step neither repeats nor loses one: the lines from there on are dropped, and readers of events are told to do the same.
 */
export class RunLog {
  private readonly folder: string;
  private files: LogFiles | undefined;
  private last = Infinity;

  /** The log of a run, which is begun or goes on with its first step. */
  constructor(folder: string) {
    this.folder = folder;
  }

  /** Writes down a step. One that is not behind the last begins anew there. */
  async step(report: StepReport): Promise<void> {
    const { lines, events } = await this.open();
    if (report.step <= this.last) {
      await lines.restart(report.step);
      await events.restart(report.step);
    }
    this.last = report.step;
    await lines.add({ time: new Date().toISOString(), ...report });
    const scalars = Object.entries(scalarsOf(report)).map(([tag, scalar]) => ({ tag, scalar }));
    await events.add(report.step, scalars);
  }

  /** Shows a picture in TensorBoard. */
  async picture(step: number, tag: string, picture: EncodedPicture): Promise<void> {
    await (await this.open()).events.add(step, [{ tag, picture }]);
  }

  /** Shows how values are spread in TensorBoard. */
  async histogram(step: number, tag: string, values: Float32Array): Promise<void> {
    await (await this.open()).events.add(step, [{ tag, histogram: histogramOf(values) }]);
  }

  /** Writes what is left and closes the files. */
  async close(): Promise<void> {
    await this.files?.lines.close();
    await this.files?.events.close();
    this.files = undefined;
  }

  private async open(): Promise<LogFiles> {
    this.files ??= {
      lines: await LineLog.open(join(this.folder, 'log.jsonl')),
      events: await EventFile.create(this.folder),
    };
    return this.files;
  }
}
