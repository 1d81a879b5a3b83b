// Makes the model in the box again, from nothing: packs the emoji, trains the VQVAE and the transformer, measures the result.
// About an hour and a half on two cores with lavapipe; each training goes on where it was stopped. Run it from anywhere: node recipes/emoji/run.mjs
import { runSteps } from '../run-steps.mjs';

const model = 'runs/emoji-star/model';
runSteps([
  ['pack', 'emoji', '--distinct', '--size', '64', '--out', 'data/emoji.lmdb'],
  ['train', 'vqvae', '--config', 'configs/emoji-vqvae.json', '--out', 'runs/emoji-vqvae'],
  ['train', 'star', '--config', 'configs/emoji-star.json', '--out', 'runs/emoji-star'],
  ['evaluate', '--pack', 'data/emoji.lmdb', '--keys-file', 'recipes/emoji/keys.txt', '--model', model, '--take', '200'],
  [
    'sample',
    '--prompts',
    'recipes/emoji/prompts.txt',
    '--seed',
    '1',
    '--grid',
    '--model',
    model,
    '--out',
    'runs/emoji-star/samples',
  ],
]);
