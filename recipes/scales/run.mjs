// Several scales or one: two VQVAEs on the same 64 px emoji, one with 204 tokens of eight scales and one with a single map of 256.
// Both have 2048 numbers in the latent map and 256 codes, and are trained alike. Hours on two cores with lavapipe; what follows the command
// is handed on to both trainings: node recipes/scales/run.mjs --set training.steps=300 loss.reviveUntil=200
import { runSteps } from '../run-steps.mjs';

const handedOn = process.argv.slice(2);
runSteps([
  ['pack', 'emoji', '--distinct', '--size', '64', '--out', 'data/emoji.lmdb'],
  ...['multi', 'single'].flatMap((name) => [
    ['train', 'vqvae', '--config', `configs/scales-${name}.json`, '--out', `runs/scales-${name}`, ...handedOn],
    [
      'evaluate',
      'tokenizer',
      `runs/scales-${name}/model`,
      '--pictures',
      'data/emoji.lmdb',
      '--keys-file',
      'recipes/emoji/keys.txt',
    ],
  ]),
]);
