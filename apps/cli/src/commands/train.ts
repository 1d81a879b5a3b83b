import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { saveAdapters } from '@star-webgpu/star-transformer';
import type { Communicator, Stage } from '@star-webgpu/trainer';
import { openSession } from '../device.ts';
import { lockFolder } from '../lock-folder.ts';
import { parseTrainConfig, type TrainConfig } from '../train/config/parse.ts';
import { closeData, openData, pictureCount, type TrainingData } from '../train/data.ts';
import { runLoop } from '../train/loop.ts';
import { finetuneStage } from '../train/finetune.ts';
import { adapterLines, adapterOf, joinRanks, sayOn, stopCode, together } from '../train/ranks.ts';
import { refinerStage } from '../train/refiner.ts';
import { keepConfig } from '../train/run-config.ts';
import { inputsOf, keepInputs } from '../train/run-inputs.ts';
import { runLength } from '../train/run-length.ts';
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
    .description(
      'train a model, on several adapters under mpirun or srun; the same command again goes on where it stopped',
    )
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
  const communicator = await joinRanks();
  await together(communicator, async () => {
    const unlock = communicator.rank === 0 ? await lockFolder(flags.out, 'train') : undefined;
    await trainOn(communicator, config, flags).finally(unlock);
  });
}

/** Training as one of several processes, or alone; rank 0 speaks and writes for all. */
async function trainOn(communicator: Communicator, config: TrainConfig, flags: Flags): Promise<void> {
  const say = sayOn(communicator);
  const isFirst = communicator.rank === 0;
  const signal = stopSignal();
  if (isFirst) await keepConfig(flags.out, config, flags.allowChanges);
  const session = await openSession(adapterOf(flags.adapter ?? process.env['STAR_ADAPTER'], communicator));
  for (const line of await adapterLines(communicator, session.description)) say(line);
  const data = await openData(config);
  const trained = await trainedBy(config, data);
  if (isFirst) await keepInputs(flags.out, await inputsOf(config, data), flags.allowChanges);
  const { stage, tokens, adapters } = trained;
  say(`${parameterCount(stage)} parameters, ${pictureCount(data)} pictures${tokens ? ' as tokens' : ''}`);
  const length = runLength(config, data, trained.sizes);
  if (config.training.epochs !== undefined) say(`${config.training.epochs} epochs are ${length.steps} steps`);
  const done = await runLoop(trained, { config, length, out: flags.out, data, communicator, signal });
  if (done < length.steps) {
    say(`stopped and saved at step ${done}; the same command goes on from there`);
    process.exitCode = await stopCode(communicator, signal);
  } else if (isFirst) {
    say(`model: ${await writeModel(stage, join(flags.out, 'model'), config)}`);
    if (adapters) say(`adapter: ${await writeFolder(join(flags.out, 'adapter'), await saveAdapters(adapters))}`);
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
