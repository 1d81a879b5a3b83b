import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { saveAdapters } from '@star-webgpu/star-transformer';
import type { Stage } from '@star-webgpu/trainer';
import { openSession } from '../device.ts';
import { say } from '../output.ts';
import { parseTrainConfig, type TrainConfig } from '../train/config/parse.ts';
import { closeData, openData, pictureCount, type TrainingData } from '../train/data.ts';
import { runLoop } from '../train/loop.ts';
import { finetuneStage } from '../train/finetune.ts';
import { refinerStage } from '../train/refiner.ts';
import { keepConfig } from '../train/run-config.ts';
import { starStage } from '../train/star.ts';
import { stopSignal } from '../train/stop-signal.ts';
import type { Trained } from '../train/trained.ts';
import { vqvaeStage } from '../train/vqvae.ts';
import { writeFolder, writeModel } from '../train/write-model.ts';

interface Flags {
  readonly config: string;
  readonly set: string[];
  readonly out: string;
  readonly allowChanges?: boolean;
  readonly adapter?: string;
}

/** Adds `star train`. */
export function addTrain(program: Command): void {
  program
    .command('train')
    .argument('<stage>', 'vqvae, star, refiner or finetune')
    .description('train a model; the same command again goes on where it stopped')
    .requiredOption('--config <file>', 'a training config, see configs/')
    .requiredOption('--out <folder>', 'folder of the run: checkpoints, log, finished model')
    .option('--set <path=value...>', 'override a value of the config', [])
    .option('--allow-changes', 'go on though the config differs from that of the run')
    .addHelpText(
      'after',
      '\nExample:\n  star train vqvae --config configs/emoji-vqvae.json --out runs/vqvae --set training.steps=500',
    )
    .action(runTrain);
}

async function runTrain(stageName: string, _: unknown, command: Command): Promise<void> {
  const flags = command.optsWithGlobals<Flags>();
  const config = parseTrainConfig(flags.config, await readFile(flags.config, 'utf8'), flags.set);
  if (config.stage !== stageName)
    throw new Error(
      `${flags.config} must be a config of stage ${stageName}, got ${config.stage}. Name the other stage or file.`,
    );
  const signal = stopSignal();
  await keepConfig(flags.out, config, flags.allowChanges);
  const session = await openSession(flags.adapter);
  say(`adapter: ${session.description}`);
  const data = await openData(config);
  const trained = await trainedBy(config, data);
  const { stage, tokens } = trained;
  say(`${parameterCount(stage)} parameters, ${pictureCount(data)} pictures${tokens ? ' as tokens' : ''}`);
  const done = await runLoop(trained, { config, out: flags.out, data, signal });
  if (done >= config.training.steps) {
    say(`model: ${await writeModel(stage, join(flags.out, 'model'), config)}`);
    const { adapters } = trained;
    if (adapters) say(`adapter: ${await writeFolder(join(flags.out, 'adapter'), await saveAdapters(adapters))}`);
  } else {
    say(`stopped and saved at step ${done}; the same command goes on from there`);
    process.exitCode = signal.reason as number;
  }
  await closeData(data);
  await tokens?.close();
  await session.close();
}

const parameterCount = (stage: Stage): string =>
  [...stage.parameters().values()].reduce((sum, { size }) => sum + size, 0).toLocaleString('en-US');

function trainedBy(config: TrainConfig, data: TrainingData): Promise<Trained> {
  if (config.stage === 'vqvae') return vqvaeStage(config, data);
  if (config.stage === 'finetune') return finetuneStage(config, data);
  return config.stage === 'refiner' ? refinerStage(config, data) : starStage(config, data);
}
