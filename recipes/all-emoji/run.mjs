// Makes the model in the box again, from nothing: packs the emoji, trains the VQVAE of `recipes/emoji` and from it that of all emoji, trains the
// transformer on whole captions, then its text encoder alone and all of it on phrases and single words as well, and measures the result, also with
// captions that training never sees. About twelve hours on two cores with lavapipe; each training goes on where it was stopped. Run it from anywhere:
// node recipes/all-emoji/run.mjs
import { runSteps } from '../run-steps.mjs';

const pack = 'data/emoji.lmdb';
const phrases = 'data/emoji-phrases.lmdb';
const words = 'data/emoji-words.lmdb';
const order = 'data/emoji-word-order.lmdb';
const synonym = 'data/emoji-synonym.lmdb';
const out = 'runs/all-emoji-phrases';
const model = `${out}/model`;
const heldOut = ['--references', pack, '--metrics', 'retrieval', '--model', model];
const pictures = ['--seed', '1', '--grid', '--model', model];
runSteps([
  ['pack', 'emoji', '--distinct', '--size', '64', '--out', pack],
  ['pack', 'emoji', '--distinct', '--size', '64', '--captions', 'phrases', '--out', phrases],
  ['pack', 'emoji', '--distinct', '--size', '64', '--captions', 'words', '--out', words],
  ['pack', 'emoji', '--distinct', '--size', '64', '--captions', 'word-order', '--out', order],
  ['pack', 'emoji', '--distinct', '--size', '64', '--captions', 'synonym', '--out', synonym],
  ['train', 'vqvae', '--config', 'configs/emoji-vqvae.json', '--out', 'runs/emoji-vqvae'],
  ['train', 'vqvae', '--config', 'configs/all-emoji-vqvae.json', '--out', 'runs/all-emoji-vqvae'],
  ['train', 'star', '--config', 'configs/all-emoji-star.json', '--out', 'runs/all-emoji-star'],
  ['train', 'star', '--config', 'configs/all-emoji-words.json', '--out', 'runs/all-emoji-words'],
  ['train', 'star', '--config', 'configs/all-emoji-phrases.json', '--out', out],
  ['evaluate', '--pack', pack, '--model', model, '--take', '500', '--out', `${out}/evaluate`],
  ['evaluate', '--prompts', order, ...heldOut, '--out', `${out}/evaluate-word-order`],
  ['evaluate', '--prompts', synonym, ...heldOut, '--out', `${out}/evaluate-synonym`],
  ['sample', '--prompts', 'recipes/all-emoji/prompts.txt', ...pictures, '--out', `${out}/samples`],
  ['sample', '--prompts', 'recipes/all-emoji/combinations.txt', ...pictures, '--out', `${out}/combinations`],
]);
