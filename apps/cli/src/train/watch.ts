import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RunLog, type Stage, type TrainOptions } from '@star-webgpu/trainer';
import { Progress } from '../output.ts';
import type { TrainConfig } from './config/parse.ts';
import { evaluationLine, progressLine } from './progress-line.ts';
import type { Trained } from './trained.ts';

/** How a run is watched. */
interface Watch {
  /** Behind each step. */
  readonly onStep: NonNullable<TrainOptions['onStep']>;
  close(): Promise<void>;
}

/** Shows the steps of a run in a line, and leaves its log, events, previews and histograms in its folder. */
export function watchRun(
  { stage, preview }: Pick<Trained, 'stage' | 'preview'>,
  { histograms }: TrainConfig,
  out: string,
): Watch {
  const progress = new Progress();
  const log = new RunLog(out);
  return {
    onStep: async (report, averaged) => {
      const { step, steps, evaluation } = report;
      await log.step(report);
      progress.show(progressLine(report, progress.columns), step === steps);
      if (evaluation) progress.note(evaluationLine(report));
      if (preview && step % preview.every === 0) {
        const picture = await averaged(() => preview.draw());
        await writePreview(join(out, 'previews'), step, picture.png);
        await log.picture(step, 'preview', picture);
      }
      if (histograms && step % histograms.every === 0) await logWeights(log, step, stage);
    },
    close: async () => {
      progress.end();
      await log.close();
    },
  };
}

async function writePreview(folder: string, step: number, png: Uint8Array): Promise<void> {
  const file = join(folder, `step-${String(step).padStart(8, '0')}.png`);
  await mkdir(folder, { recursive: true });
  await writeFile(file, png);
}

/** One tensor at a time, so that the host never holds all weights. */
async function logWeights(log: RunLog, step: number, stage: Stage): Promise<void> {
  for (const [name, tensor] of stage.parameters()) await log.histogram(step, `weights/${name}`, await tensor.data());
}
