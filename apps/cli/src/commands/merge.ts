import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { loadAdapters, loadStar, saveStar } from '@star-webgpu/star-transformer';
import { folderFiles } from '@star-webgpu/tensor-webgpu/node';
import type { Command } from 'commander';
import { openSession } from '../device.ts';
import { print } from '../output.ts';
import { writeFolder } from '../train/write-model.ts';

interface Flags {
  readonly lora: string;
  readonly out: string;
  readonly adapter?: string;
  readonly json?: boolean;
}

/** Adds `star merge`. */
export function addMerge(program: Command): void {
  program
    .command('merge')
    .argument('<model>', 'folder of a model with star/, text/ and vqvae/')
    .description('add the adapters of a finetuning to the weights of a model, which can then be drawn from')
    .requiredOption('--lora <folder>', 'what star train finetune left in its adapter/')
    .requiredOption('--out <folder>', 'where the merged model goes')
    .addHelpText(
      'after',
      '\nExample:\n  star merge packages/model-emoji/model --lora runs/mine/adapter --out models/mine',
    )
    .action(runMerge);
}

async function runMerge(model: string, _: unknown, command: Command): Promise<void> {
  const { lora, out, adapter, json } = command.optsWithGlobals<Flags>();
  const session = await openSession(adapter);
  try {
    const star = await loadStar(folderFiles(join(model, 'star')));
    const adapters = await loadAdapters(star, folderFiles(lora));
    adapters.merge();
    const files = await saveStar(star, 'F16');
    await cp(model, out, { recursive: true, dereference: true });
    await writeFolder(join(out, 'star'), files);
    print(json ? JSON.stringify({ model: out }) : `model: ${out}`);
  } finally {
    await session.close();
  }
}
