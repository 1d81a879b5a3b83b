import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseTrainConfig } from './parse.ts';

const folder = new URL('../../../../../configs/', import.meta.url);
const textOf = (name: string): string => readFileSync(new URL(name, folder), 'utf8');
const names = readdirSync(folder).filter((name) => name.endsWith('.json') && name !== 'schema.json');

describe('parseTrainConfig', () => {
  it.each(names)('takes configs/%s', (name) => {
    // What a config leaves out is filled in.
    const { accumulate } = parseTrainConfig(name, textOf(name), []).training;
    const given = JSON.parse(textOf(name)) as { readonly training: { readonly accumulate?: number } };
    expect(accumulate).toBe(given.training.accumulate ?? 1);
  });

  it('lists every fault with its path', () => {
    const faulty = JSON.stringify({
      ...(JSON.parse(textOf('tiny-vqvae.json')) as object),
      seed: -1,
      surprise: true,
      data: { packs: [], size: 64 },
    });
    expect(() => parseTrainConfig('faulty.json', faulty, ['training.batch=0', 'nowhere.at.all=1'])).toThrow(
      /^faulty\.json has 5 faults:\n {2}--set nowhere\.at\.all=1: there is no nowhere\.at\n(.*\n)*.*$/,
    );
    for (const fault of [/\bseed: /, /\bdata\.packs: /, /\btraining\.batch: /, /surprise/])
      expect(() => parseTrainConfig('faulty.json', faulty, ['training.batch=0', 'nowhere.at.all=1'])).toThrow(fault);
  });

  it('overrides values by their path, as JSON where it is JSON', () => {
    const config = parseTrainConfig('x', textOf('tiny-star.json'), [
      'training.batch=3',
      'captions=first',
      'data.packs=["a","b"]',
    ]);
    expect([config.training.batch, config.data.packs]).toEqual([3, ['a', 'b']]);
  });

  it('wants a weight for each pack where there are any', () => {
    const twoPacks = 'data.packs=["a","b"]';
    const config = parseTrainConfig('x', textOf('tiny-star.json'), [twoPacks, 'data.weights=[1,3]']);
    expect(config.data.weights).toEqual([1, 3]);
    expect(() => parseTrainConfig('x', textOf('tiny-star.json'), [twoPacks, 'data.weights=[1]'])).toThrow(
      'data.weights: must be one number for each of the 2 packs, got 1',
    );
  });

  it('takes the length of a run and of its warm-up in steps or in epochs: an override replaces the other', () => {
    const length = (...set: string[]): unknown => {
      const { steps, epochs, warmupSteps, warmupEpochs } = parseTrainConfig(
        'x',
        textOf('tiny-star.json'),
        set,
      ).training;
      return { steps, epochs, warmupSteps, warmupEpochs };
    };
    expect(length()).toEqual({ steps: 500, warmupSteps: 20 });
    expect(length('training.epochs=2.5')).toEqual({ epochs: 2.5, warmupSteps: 20 });
    expect(length('training.epochs=2', 'training.steps=9', 'training.warmupEpochs=0')).toEqual({
      steps: 9,
      warmupEpochs: 0,
    });
    const { training, ...others } = JSON.parse(textOf('tiny-star.json')) as { training: Record<string, unknown> };
    const parse = (more: Record<string, unknown>): unknown =>
      parseTrainConfig('x', JSON.stringify({ ...others, training: { ...training, ...more } }), []);
    expect(() => parse({ epochs: 1 })).toThrow('training.steps, training.epochs: must be given one or the other');
    expect(() => parse({ warmupSteps: undefined })).toThrow(
      'training.warmupSteps, training.warmupEpochs: must be given one or the other',
    );
    expect(() => parse({ steps: undefined, epochs: 0 })).toThrow('training.epochs');
  });

  it('wants scales to be added before all of them are trained', () => {
    const progressive = (begin: number): string =>
      `progressive={"from":1,"begin":${begin},"until":0.6,"warmupSteps":9}`;
    expect(parseTrainConfig('x', textOf('tiny-star.json'), [progressive(0.5)])).toMatchObject({
      progressive: { begin: 0.5 },
    });
    expect(() => parseTrainConfig('x', textOf('tiny-star.json'), [progressive(0.7)])).toThrow(
      'progressive: begin must not be behind until, got 0.7 and 0.6',
    );
  });

  it('takes changes and a lone decoder only of a VQVAE that is there', () => {
    const { vqvae, ...others } = JSON.parse(textOf('tiny-vqvae.json')) as Record<string, unknown>;
    const changes = 'changes={"codebookSize":99}';
    const parse = (config: object, ...set: string[]): unknown => parseTrainConfig('x', JSON.stringify(config), set);
    expect(parse({ ...others, from: 'a' }, changes)).toMatchObject({ changes: { codebookSize: 99 } });
    expect(parse({ ...others, from: 'a' }, 'decoderOnly=true')).toMatchObject({ decoderOnly: true });
    expect(() => parse({ ...others, vqvae, from: 'a' })).toThrow('vqvae, from: must be given one or the other');
    expect(() => parse({ ...others, vqvae }, changes)).toThrow('changes: wants from');
    expect(() => parse({ ...others, vqvae }, 'decoderOnly=true')).toThrow('decoderOnly: wants from');
    expect(() => parse({ ...others, from: 'a' }, changes, 'decoderOnly=true')).toThrow(
      'decoderOnly, changes: a changed VQVAE gives other tokens',
    );
    expect(() => parse({ ...others, from: 'a' }, 'changes={"channels":8}')).toThrow('channels');
  });

  it('takes a lone text encoder only of a model that is there', () => {
    const parse = (...set: string[]): unknown =>
      parseTrainConfig('x', textOf('tiny-star.json'), ['textOnly=true', ...set]);
    expect(parse('from=a')).toMatchObject({ textOnly: true, from: 'a' });
    expect(() => parse()).toThrow('textOnly: wants from, the folder of the model that stays, and text');
  });

  it('names a file that is not JSON, and an unknown stage', () => {
    expect(() => parseTrainConfig('x.json', '{', [])).toThrow(/x\.json has 1 fault:\n {2}not JSON: /);
    expect(() => parseTrainConfig('x.json', '{"stage":"gan"}', [])).toThrow(/stage/);
  });
});
