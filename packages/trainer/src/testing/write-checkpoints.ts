// Writes checkpoints without end into the folder that it is given, for a test that kills it.
import { writeCheckpoint } from '../checkpoint.ts';

const folder = process.argv[2]!;
for (let step = 1; ; step++) {
  const files = new Map([['model/a.bin', new Uint8Array(4_000_000).fill(step)]]);
  const state = { stage: 'x', step, cursor: { epoch: 0, step }, seed: 1 };
  await writeCheckpoint(folder, { files, state, keep: 2 });
  process.stdout.write(`${step}\n`);
}
