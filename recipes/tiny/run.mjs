// Packs the emoji, trains a VQVAE and a transformer on sixteen of them until they are learnt by heart, and measures the result.
// About twelve minutes on two cores with lavapipe. Run it from anywhere: node recipes/tiny/run.mjs
import { runSteps } from '../run-steps.mjs';

const model = 'runs/tiny-star/model';
runSteps([
  ['pack', 'emoji', '--distinct', '--size', '64', '--out', 'data/emoji.lmdb'],
  ['train', 'vqvae', '--config', 'configs/tiny-vqvae.json', '--out', 'runs/tiny-vqvae'],
  ['train', 'star', '--config', 'configs/tiny-star.json', '--out', 'runs/tiny-star'],
  ['evaluate', '--pack', 'data/emoji.lmdb', '--keys-file', 'recipes/tiny/keys.txt', '--model', model],
  ['sample', 'red apple', '--count', '4', '--grid', '--model', model, '--out', 'runs/tiny-star/samples'],
]);
