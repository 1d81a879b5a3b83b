import type { Program } from '../apps/cli/src/program.ts';

/** Columns that fit on the page. */
const width = 76;

/** Every command below one with the words that lead there, each before those inside it. */
export function commandsBelow(
  command: Program,
  words: readonly string[] = [],
): { words: string[]; command: Program }[] {
  return command.commands.flatMap((inner) => {
    const path = [...words, inner.name()];
    return [{ words: path, command: inner }, ...commandsBelow(inner, path)];
  });
}

/** What `--help` prints. */
function helpOf(command: Program): string {
  let text = '';
  command.configureOutput({
    getOutHelpWidth: () => width,
    getOutHasColors: () => false,
    writeOut: (part) => void (text += part),
  });
  command.outputHelp();
  return text.trimEnd();
}

/** The reference of all commands as Markdown. */
export function commandReference(program: Program): string {
  const sections = commandsBelow(program).map(
    ({ words, command }) => `## ${words.join(' ')}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`\n`,
  );
  return `${intro}\n\`\`\`text\n${helpOf(program)}\n\`\`\`\n\n${sections.join('\n')}`;
}

const intro = `# Command reference

<!-- Written by \`pnpm write:commands\` from the program itself: change the descriptions there, in apps/cli/src/commands. -->

What \`star <command> --help\` prints, for every command. [The command line](command-line.md) explains them.
`;
