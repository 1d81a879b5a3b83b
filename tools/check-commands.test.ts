import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { commandNames, createProgram, type Program } from '../apps/cli/src/program.ts';
import { callFaults, callsIn, optionsIn, stepsIn, tabledOptions } from './check-commands.ts';
import { pagesOf } from './check-docs.ts';
import { commandReference, commandsBelow } from './command-reference.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const pages = pagesOf(root);
const textOf = (path: string): string => pages.find((page) => page.path === path)!.text;

/** Options that the pages name of other programs. */
const others: Readonly<Record<string, readonly string[]>> = {
  'npm run bench': ['--profile'],
  'npm run bench:ranks': ['--latency', '--bandwidth', '--rate'],
  'npm run bundle': ['--node', '--vulkan-loader', '--compression', '--with-emoji', '--limit'],
  pnpm: ['--filter'],
  mpirun: ['--allow-run-as-root'],
  'srun and sbatch': ['--mpi', '--gpus-per-task', '--signal', '--wait', '--kill-on-bad-exit'],
};

let program: Program;
beforeAll(async () => void (program = await createProgram(commandNames)));

const page = (text: string): { path: string; text: string } => ({ path: 'docs/guide/a.md', text });

describe('calls of a page', () => {
  it('are those of shell blocks and of code in the text, by any spelling', () => {
    const text = [
      '```sh',
      'npm run star -- train star --config a.json  # a comment',
      'npm start -- "red apple" > log.txt && star doctor',
      'STAR_ADAPTER=auto mpirun -n 2 star train \\',
      '  vqvae',
      '```',
      'see `star data show x.lmdb`, not `star-256-d16`',
      '```ts',
      'star forward',
      '```',
    ].join('\n');
    expect(callsIn(page(text)).map((words) => words.join(' '))).toEqual([
      'train star --config a.json',
      'sample "red apple"',
      'doctor',
      'train vqvae',
      'data show x.lmdb',
    ]);
  });

  it.each([
    ['sample "red apple" --cfg 4 --adapter lavapipe', []],
    ['sample --speed 4', ['star sample has no --speed']],
    ['data --help', []],
    ['data shuffle', ['star data has no command shuffle']],
    ['<command> --help', []],
    ['train <stage> --confg x', ['star train has no --confg']],
    ['paint', ['star has no command paint']],
  ])('%s: %j', (words, faults) => {
    expect(callFaults(program, words.match(/"[^"]*"|\S+/g)!)).toEqual(faults);
  });

  it('are told apart from options in tables and alone', () => {
    const text = '## data show\n\n| option |\n|---|\n| `--seed <n>`, `--no-text` |\n\nand `--json`\n';
    expect(tabledOptions(page(text)).map(({ words, option }) => [...words, option].join(' '))).toEqual([
      'data show --seed',
      'data show --no-text',
    ]);
    expect(optionsIn(page(text))).toEqual(['--seed', '--no-text', '--json']);
  });
});

it('steps of a recipe are lists of words, some of them with names', () => {
  const text = "runSteps([\n  ['pack', 'emoji', '--out', pack],\n  ['train', `${stage}`],\n]);\nconst a = [1];\n";
  expect(stepsIn(text)).toEqual([
    ['pack', 'emoji', '--out', 'pack'],
    ['train', '`${stage}`'],
  ]);
});

describe('the pages', () => {
  it('call commands and options that star has', () => {
    const calls = pages.flatMap((page) => callsIn(page).map((words) => ({ page, words })));
    expect(calls.length).toBeGreaterThan(100);
    const faults = calls.flatMap(({ page, words }) =>
      callFaults(program, words).map((fault) => `${page.path}: ${fault}, in ${words.join(' ')}`),
    );
    expect(faults).toEqual([]);
  });

  it('list options that their commands have', () => {
    const listed = tabledOptions({ path: '', text: textOf('docs/guide/command-line.md') });
    expect(listed.length).toBeGreaterThan(50);
    expect(listed.flatMap(({ words, option }) => callFaults(program, [...words, option]))).toEqual([]);
  });

  it('name options that star has, or one of the other programs', () => {
    const own = [program, ...commandsBelow(program).map(({ command }) => command)];
    const known = new Set([
      ...own.flatMap(({ options }) => options.map(({ long }) => long)),
      ...Object.values(others).flat(),
    ]);
    const unknown = pages.flatMap((one) =>
      optionsIn(one)
        .filter((option) => option !== '--help' && !known.has(option))
        .map((option) => `${one.path}: ${option}`),
    );
    expect(unknown).toEqual([]);
  });

  it('list every command', () => {
    const [table] = textOf('docs/guide/command-line.md').split('## Everywhere');
    const missing = commandsBelow(program).filter(({ words }) => !table!.includes(`\`${words.join(' ')}`));
    expect(missing.map(({ words }) => words.join(' '))).toEqual([]);
  });
});

it.each(
  readdirSync(join(root, 'recipes'), { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('run.mjs')),
)('the recipe %s runs commands with options that they have', (path) => {
  const calls = stepsIn(readFileSync(join(root, 'recipes', path), 'utf8'));
  expect(calls.length).toBeGreaterThan(2);
  expect(calls.flatMap((words) => callFaults(program, words))).toEqual([]);
});

it('the command reference is what docs/guide/commands.md holds; pnpm write:commands writes it anew', () => {
  expect(textOf('docs/guide/commands.md')).toBe(commandReference(program));
});
