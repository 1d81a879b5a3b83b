// Makes the model in the box again, from nothing: packs the emoji, trains the VQVAE of `recipes/emoji` and from it that of all emoji, trains the
// transformer, measures the result. About ten hours on two cores with lavapipe; each training goes on where it was stopped. Run it from anywhere:
// node recipes/all-emoji/run.mjs
import { runSteps } from '../run-steps.mjs';

const model = 'runs/all-emoji-star/model';
const emoji = ['pack', 'emoji', '--distinct', '--size', '64'];
/** Captions that training never sees. */
const heldOut = ['word-order', 'synonym'];
runSteps([
  [...emoji, '--out', 'data/emoji.lmdb'],
  ...heldOut.map((captions) => [...emoji, '--captions', captions, '--out', `data/emoji-${captions}.lmdb`]),
  ['train', 'vqvae', '--config', 'configs/emoji-vqvae.json', '--out', 'runs/emoji-vqvae'],
  ['train', 'vqvae', '--config', 'configs/all-emoji-vqvae.json', '--out', 'runs/all-emoji-vqvae'],
  ['train', 'star', '--config', 'configs/all-emoji-star.json', '--out', 'runs/all-emoji-star'],
  ['evaluate', '--pack', 'data/emoji.lmdb', '--model', model, '--take', '500', '--out', 'runs/all-emoji-star/evaluate'],
  ...heldOut.map((captions) => [
    ...['evaluate', '--prompts', `data/emoji-${captions}.lmdb`, '--references', 'data/emoji.lmdb'],
    ...['--metrics', 'retrieval', '--model', model, '--out', `runs/all-emoji-star/evaluate-${captions}`],
  ]),
  ...['prompts', 'combinations'].map((list) => [
    ...['sample', '--prompts', `recipes/all-emoji/${list}.txt`, '--seed', '1', '--grid'],
    ...['--model', model, '--out', `runs/all-emoji-star/${list}`],
  ]),
]);
