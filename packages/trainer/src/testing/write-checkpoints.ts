// Writes checkpoints without end into the folder that it is given, for a test that kills it. Each step is written twice: the second
// time over the first.
import { CheckpointStore } from '../checkpoints/store.ts';

const store = new CheckpointStore(process.argv[2]!, { keep: 2 });
await store.open();
for (let turn = 2; ; turn++) {
  const step = turn >> 1;
  const files = new Map([['model/a.bin', [new Uint8Array(4_000_000).fill(step)]]]);
  const state = { stage: 'x', step, cursor: { epoch: 0, step }, seed: 1 };
  store.begin(step, Promise.resolve({ files, state }));
  await store.finish();
  process.stdout.write(`${step}\n`);
}
