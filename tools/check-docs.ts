import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** A page of Markdown, with its path from the root of the repository. */
export interface Page {
  readonly path: string;
  readonly text: string;
}

/** The TypeScript of a page: all its ```ts blocks as one program, or nothing if it has none. */
export function programOf({ text }: Page): string | undefined {
  const blocks = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!);
  return blocks.length ? `${blocks.join('\n')}\nexport {};\n` : undefined;
}

/** Targets of a page's links that lead to files, without their anchors. */
export function linksOf({ text }: Page): string[] {
  const prose = text.replaceAll(/^```.*?^```$/gms, '').replaceAll(/`[^`\n]*`/g, '');
  const inText = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  const inHead = [...prose.matchAll(/^\s+link: (\/\S+)$/gm)].map(([, target]) => target!);
  return [...inText, ...inHead].filter((target) => !/^(\w+:|#)/.test(target)).map((target) => target.split('#')[0]!);
}

/** Links of a page that lead nowhere, one line each. A path that begins with a slash begins at the docs. */
export function deadLinks(root: string, page: Page): string[] {
  const places = (target: string): string[] => {
    const path = target.startsWith('/') ? join(root, 'docs', target) : join(root, dirname(page.path), target);
    return [path, `${path}.md`, `${path.replace(/\.html$/, '')}.md`];
  };
  const dead = linksOf(page).filter((target) => !places(target).some((path) => existsSync(path)));
  return dead.map((target) => `${page.path}: link must lead to a file, got ${target}. Correct it or add the page.`);
}

/** Every page of the docs, and the READMEs. */
export function pagesOf(root: string): Page[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md') && !path.startsWith('.vitepress'))
    .map((path) => join(root, 'docs', path));
  const readmes = ['packages', 'apps'].flatMap((group) =>
    readdirSync(join(root, group)).map((name) => join(root, group, name, 'README.md')),
  );
  return [...docs, join(root, 'README.md'), ...readmes.filter((path) => existsSync(path))]
    .toSorted()
    .map((path) => ({ path: relative(root, path), text: readFileSync(path, 'utf8') }));
}
