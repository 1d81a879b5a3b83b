// Logs steps without end into the folder that it is given, and saves each tenth, for a test that kills it.
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RunLog } from '../watch/run-log.ts';

const [folder, last] = [process.argv[2]!, Number(process.argv[3])];
const saved = join(folder, 'saved');
const log = new RunLog(folder);
let step = Number(await readFile(saved, 'utf8').catch(() => '0'));
while (step < last) {
  step++;
  const numbers = { steps: last, epoch: 0, gradientNorm: 1, learningRate: 0.1, skipped: 0, imagesPerSecond: 2, eta: 3 };
  await log.step({ ...numbers, step, loss: 1 / step, metrics: {} });
  process.stdout.write(`${step}\n`);
  if (step % 10 !== 0) continue;
  await writeFile(`${saved}.new`, String(step));
  await rename(`${saved}.new`, saved);
}
await log.close();
