import type { Program } from '../apps/cli/src/program.ts';
import { type Page, proseOf } from './check-docs.ts';

/** Ways to write the command, with the words that they stand for. */
const spellings: readonly (readonly [written: string, words: string])[] = [
  ['npm run star -- ', ''],
  ['npm start -- ', 'sample '],
  ['npx star ', ''],
  ['star ', ''],
];

/** Words of every call of `star` in a page's code: of shell blocks a line each, of text what stands between backticks. */
export function callsIn(page: Page): string[][] {
  const blocks = [...page.text.matchAll(/^```(\w*)\n(.*?)^```$/gms)];
  const shell = blocks.filter(([, language]) => /^(sh|bash|console|)$/.test(language!)).map(([, , code]) => code!);
  const lines = shell.flatMap((code) => code.replaceAll('\\\n', ' ').split('\n'));
  const spans = [...proseOf(page).matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!);
  return [...lines, ...spans].flatMap((line) => line.split(/\s(?:&&|\|\||[|;])\s/)).flatMap(wordsOf);
}

/** Words behind the command, if a line begins with it, without a comment and what the output is led to. */
function wordsOf(line: string): string[][] {
  const call = line.replace(/^(\$ |[A-Z_]+=\S+ |mpirun (-\S+ \S+ )*|srun )*/, '');
  const [written, words] = spellings.find(([spelling]) => call.startsWith(spelling)) ?? [];
  if (!written) return [];
  const rest = call.slice(written.length).replace(/\s(#|2?>).*$/, '');
  return [`${words}${rest}`.match(/"[^"]*"|'[^']*'|\S+/g) ?? []];
}

/** Words of every step of a recipe, which is a list that begins with a command. */
export const stepsIn = (recipe: string): string[][] =>
  [...recipe.matchAll(/\[\s*('[a-z][^[\]]*)\](?!\.)/g)].map(([, list]) =>
    list!
      .split(/,\s*/)
      .filter(Boolean)
      .map((word) => word.trim().replace(/^'(.*)'$/, '$1')),
  );

/** Options that a page's text names alone, between backticks. */
export const optionsIn = (page: Page): string[] =>
  [...proseOf(page).matchAll(/`(--[a-z][\w-]*)/g)].map(([, option]) => option!);

/** What is wrong with a call, one line each: a command that there is not, or an option that the command does not take. */
export function callFaults(program: Program, words: readonly string[]): string[] {
  const faults: string[] = [];
  const chain = [program];
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const command = chain.at(-1)!;
    if (word.startsWith('--')) {
      const option = optionOf(chain, word.split('=')[0]!);
      if (!option) faults.push(`${pathOf(chain)} has no ${word}`);
      else if (option.required && !word.includes('=')) at++;
      continue;
    }
    const next = command.commands.find((one) => one.name() === word);
    if (next) chain.push(next);
    else if (command.commands.length && !command.registeredArguments.length) {
      // A placeholder stands for any of the commands, so that no more can be said.
      if (!/^[<[.…]/.test(word)) faults.push(`${pathOf(chain)} has no command ${word}`);
      return faults;
    }
  }
  return faults;
}

const helpOption = { required: false };

/** An option of a command or of those that it is part of. */
function optionOf(chain: readonly Program[], name: string): { readonly required: boolean } | undefined {
  if (name === '--help') return helpOption;
  return chain.flatMap(({ options }) => options).find(({ long }) => long === name);
}

/** Options at the beginnings of a page's table rows that belong to a section named after a command, with its words. */
export function tabledOptions({ text }: Page): { readonly words: string[]; readonly option: string }[] {
  return text
    .split(/^## /m)
    .slice(1)
    .flatMap((section) => {
      const words = section.slice(0, section.indexOf('\n')).split(' ');
      const cells = [...section.matchAll(/^\| (`--[^|]*) \|/gm)].map(([, cell]) => cell!);
      return cells.flatMap((cell) => [...cell.matchAll(/--[\w-]+/g)].map(([option]) => ({ words, option })));
    });
}

const pathOf = (chain: readonly Program[]): string => chain.map((command) => command.name()).join(' ');
