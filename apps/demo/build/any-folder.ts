import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UserConfig } from 'vitepress';

/** A plugin of the Vite that VitePress brings along. */
export type Plugin = Extract<
  NonNullable<NonNullable<UserConfig['vite']>['plugins']>[number],
  { readonly name: string }
>;

/** Stands in built files for the folder that the site is served from, which only an opened page knows. */
export const unknownFolder = '/__the_folder_of_the_site__/';

/** Makes chunks find the folder by their own address, so that one build works from any folder of any web server. */
export function anyFolder(): Plugin {
  return {
    name: 'any-folder',
    // Pages that are written while building keep the stand-in: `relativeLinks` comes to them.
    apply: ({ build }, { command }) => command === 'build' && !build?.ssr,
    generateBundle({ format }, bundle) {
      for (const chunk of Object.values(bundle))
        if (chunk.type === 'chunk' && format === 'es' && chunk.code.includes(unknownFolder))
          chunk.code = withRelativeFolder(chunk.code, chunk.fileName, this.parse(chunk.code));
    },
  };
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/** Text of JavaScript with the stand-in inside of its strings replaced by an expression. */
function withRelativeFolder(code: string, fileName: string, program: Node): string {
  const up = '../'.repeat(fileName.split('/').length - 1) || './';
  const name = '__folder';
  let text = code;
  for (const node of stringsOf(program).toSorted((a, b) => b.start - a.start)) {
    const before = code.slice(node.start, node.end);
    if (!before.includes(unknownFolder)) continue;
    const quote = before[0]!;
    const after =
      node.type === 'Literal'
        ? `(${before.replaceAll(unknownFolder, `${quote}+${name}+${quote}`)})`
        : before.replaceAll(unknownFolder, `\${${name}}`);
    text = text.slice(0, node.start) + after + text.slice(node.end);
  }
  return `const ${name}=new URL(${JSON.stringify(up)},import.meta.url).pathname;${text}`;
}

/** String literals and pieces of templates, wherever they are. */
function stringsOf(tree: unknown): Node[] {
  if (Array.isArray(tree)) return tree.flatMap(stringsOf);
  if (typeof tree !== 'object' || tree === null) return [];
  const node = tree as Node & { readonly value?: unknown };
  const own = (node.type === 'Literal' && typeof node.value === 'string') || node.type === 'TemplateElement';
  return own ? [node] : Object.values(node).flatMap(stringsOf);
}

/** Makes the links of pages and style sheets relative. */
export async function relativeLinks(site: string): Promise<void> {
  for (const path of await readdir(site, { recursive: true })) {
    if (!/\.(html|css)$/.test(path)) continue;
    const text = await readFile(join(site, path), 'utf8');
    if (text.includes(unknownFolder)) await writeFile(join(site, path), relativeTo(path, text));
  }
}

function relativeTo(path: string, text: string): string {
  const up = '../'.repeat(path.split('/').length - 1) || './';
  // VitePress hands its settings to the page as JSON inside of a script's string.
  const found = `\\""+new URL("${up}",location.href).pathname+"\\"`;
  return text.replaceAll(`\\"${unknownFolder}\\"`, found).replaceAll(unknownFolder, up);
}
