import type { Command } from 'commander';
import { verifyPack, type VerifyReport } from '@star-webgpu/data-lmdb';
import { interruptSignal, print, Progress } from '../output.ts';

/** Adds `star data verify`. */
export function addVerify(data: Command): void {
  data
    .command('verify')
    .argument('<pack...>', 'packs')
    .description('read everything and compare it with its checksums; exit code 1 where anything has changed')
    .addHelpText('after', '\nExample:\n  star data verify data/mine.lmdb')
    .action(runVerify);
}

async function runVerify(paths: readonly string[], _: unknown, command: Command): Promise<void> {
  const { json } = command.optsWithGlobals<{ readonly json?: boolean }>();
  const signal = interruptSignal();
  const reports: VerifyReport[] = [];
  for (const path of paths) {
    const progress = new Progress();
    const onProgress = ({ done, total }: { done: number; total: number }): void =>
      progress.show(`checked ${done} of ${total}`);
    reports.push(await verifyPack(path, { onProgress, signal }));
    progress.end();
  }
  print(json ? JSON.stringify(reports) : reports.flatMap(linesOf).join('\n'));
  const faults = reports.reduce((sum, report) => sum + report.faults.length, 0);
  if (faults) throw new Error(`${faults} faults: pack the data again, or take the packs from a copy.`);
}

function linesOf({ path, pictures, arrays, decoded, faults }: VerifyReport): string[] {
  const held = [`${pictures} pictures`, ...(arrays ? [`${arrays} arrays`] : [])].join(' and ');
  const by = decoded ? `, ${decoded} of them decoded: the pack is older than checksums` : '';
  return [
    ...faults.map(({ file, key, reason }) => `${file}${key && `, ${key}`}: ${reason}`),
    `${path}: ${held}${by}, ${faults.length ? `${faults.length} faults` : 'all as they were packed'}`,
  ];
}
