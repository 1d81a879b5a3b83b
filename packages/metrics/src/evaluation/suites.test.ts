import { describe, expect, it } from 'vitest';
import { dpgPrompts, genevalPrompts, jsonPrompts, linePrompts, type PromptSuite } from './suites.ts';

const filesOf = ({ prompts }: PromptSuite, count: number): string[] => prompts.flatMap((one) => one.files(count));

describe('prompt suites', () => {
  it('a file of prompts: one a line, pictures by number', () => {
    const suite = linePrompts('a red apple\r\n\n  \n# a remark\nein grüner Baum 🌳\n');
    expect(suite.prompts.map(({ prompt }) => prompt)).toEqual(['a red apple', 'ein grüner Baum 🌳']);
    expect(filesOf(suite, 1)).toEqual(['00000.png', '00001.png']);
    expect(filesOf(suite, 2)).toEqual(['00000-0.png', '00000-1.png', '00001-0.png', '00001-1.png']);
  });

  it('MJHQ-30K: {category}/{name}.png', () => {
    const suite = jsonPrompts(
      '{"a1": {"category": "animals", "prompt": "a cat"}, "b2": {"category": "food", "prompt": "rice"}}',
    );
    expect(suite).toMatchObject({ kind: 'mjhq', count: 1, protocol: '2 prompts of 2 categories (MJHQ-30K layout)' });
    expect(suite.prompts.map(({ category }) => category)).toEqual(['animals', 'food']);
    expect(filesOf(suite, 1)).toEqual(['animals/a1.png', 'food/b2.png']);
  });

  it('COCO: the first caption of each picture', () => {
    const suite = jsonPrompts(
      JSON.stringify({
        images: [],
        annotations: [
          { image_id: 9, id: 5, caption: 'second ' },
          { image_id: 9, id: 2, caption: ' first ' },
          { image_id: 139, id: 7, caption: 'other' },
        ],
      }),
    );
    expect(suite.prompts.map(({ key, prompt }) => [key, prompt])).toEqual([
      ['000000000009', 'first'],
      ['000000000139', 'other'],
    ]);
  });

  it("GenEval: numbered folders with the line's metadata, four pictures each", () => {
    const lines = [
      '{"tag":"single_object","include":[{"class":"bench","count":1}],"prompt":"a photo of a bench"}',
      '{"prompt":"b"}',
    ];
    const suite = genevalPrompts(`${lines.join('\n')}\n`);
    expect(suite.count).toBe(4);
    expect(filesOf(suite, 2)).toEqual([
      '00000/samples/00000.png',
      '00000/samples/00001.png',
      '00001/samples/00000.png',
      '00001/samples/00001.png',
    ]);
    expect([...suite.extras]).toEqual([
      ['00000/metadata.jsonl', lines[0]],
      ['00001/metadata.jsonl', lines[1]],
    ]);
    expect(suite.prompts[0]!.category).toBe('single_object');
    expect(suite.protocol).toContain('not here');
  });

  it('DPG-Bench: a text file by name', () => {
    const suite = dpgPrompts(new Map([['p1.txt', 'a dense\nprompt\n']]));
    expect(suite.prompts[0]).toMatchObject({ key: 'p1', prompt: 'a dense\nprompt' });
    expect(filesOf(suite, 2)).toEqual(['samples/p1/0.png', 'samples/p1/1.png']);
  });

  it.each([
    [() => linePrompts('\n'), 'prompts: file must hold prompts, got none. Give one a line.'],
    [() => jsonPrompts('{'), /^prompts: file must be JSON, got "\{" \(/],
    [
      () => jsonPrompts('[1]'),
      'prompts: file must be the meta_data.json of MJHQ-30K ({name: {category, prompt}}) or captions of COCO ({annotations}), got another form.',
    ],
    [
      () => jsonPrompts('{"../up": {"category": "a", "prompt": "b"}}'),
      'prompts: meta_data.json must name pictures by plain file names, got "../up". Rename it.',
    ],
    [
      () => jsonPrompts('{"up": {"category": "..", "prompt": "b"}}'),
      'prompts: meta_data.json must name pictures by plain file names, got "..". Rename it.',
    ],
    [
      () => jsonPrompts('{"annotations": [{"caption": "x"}]}'),
      'prompts: annotations must have image_id and caption, got {"caption":"x"}.',
    ],
    [
      () => genevalPrompts('{"prompt": 1}'),
      'prompts: line 1 must be an object with a prompt, got "{\\"prompt\\": 1}".',
    ],
    [
      () =>
        dpgPrompts(
          new Map([
            ['a.txt', 'x'],
            ['a', 'y'],
          ]),
        ),
      'prompts: names must differ, got "a" twice. Rename one.',
    ],
  ])('refuses what is no suite: %#', (read, message) => {
    expect(read).toThrow(message);
  });
});
