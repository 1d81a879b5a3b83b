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

/** Text of a page without its blocks of code. */
export const proseOf = ({ text }: Page): string => text.replaceAll(/^```.*?^```$/gms, '');

/** Targets of a page's links that lead to files or to headings of this page. */
export function linksOf(page: Page): string[] {
  const prose = proseOf(page).replaceAll(/`[^`\n]*`/g, '');
  const inText = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  const inHead = [...prose.matchAll(/^\s+link: (\/\S+)$/gm)].map(([, target]) => target!);
  return [...inText, ...inHead].filter((target) => !/^\w+:/.test(target));
}

/** The anchor that VitePress gives a heading. */
const slugOf = (heading: string): string =>
  heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .normalize('NFKD')
    .replaceAll(/[\u0300-\u036f]/g, '')
    .replaceAll(/[\s~`!@#$%^&*()\-_+=[\]{}|\\;:"'“”‘’<>,.?/]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .replace(/^\d/, '_$&')
    .toLowerCase();

/** Anchors of a page: those that are written out, and those of its headings, with a number from the second alike on. */
export function anchorsOf(page: Page): Set<string> {
  const prose = proseOf(page);
  const anchors = new Set([...prose.matchAll(/\{#([^}]+)\}|\bid="([^"]+)"/g)].map(([, own, html]) => own ?? html!));
  for (const [, heading] of prose.matchAll(/^#+ (.+)$/gm)) {
    if (/\{#/.test(heading!)) continue;
    const slug = slugOf(heading!);
    let [anchor, count] = [slug, 0];
    while (anchors.has(anchor)) anchor = `${slug}-${++count}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** Links of all pages that lead to no file, or to no heading of a page, one line each. A path that begins with a slash begins at the docs. */
export function deadLinks(root: string, pages: readonly Page[]): string[] {
  const anchors = new Map(pages.map((page) => [page.path, anchorsOf(page)]));
  const isDead = (from: Page, target: string): boolean => {
    const [file, anchor] = target.split('#') as [string, string?];
    const path = file.startsWith('/') ? join('docs', file) : join(dirname(from.path), file);
    const places = file ? [path, `${path}.md`, `${path.replace(/\.html$/, '')}.md`] : [from.path];
    const found = places.find((place) => anchors.has(place)) ?? places.find((place) => existsSync(join(root, place)));
    return !found || (anchor !== undefined && anchors.get(found)?.has(anchor) === false);
  };
  return pages.flatMap((page) =>
    linksOf(page)
      .filter((target) => isDead(page, target))
      .map(
        (target) => `${page.path}: link must lead to a file or a heading, got ${target}. Correct it or add the page.`,
      ),
  );
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
