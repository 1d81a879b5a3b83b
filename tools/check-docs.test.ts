import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { anchorsOf, deadLinks, linksOf, pagesOf, programOf } from './check-docs.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = (text: string): { path: string; text: string } => ({ path: 'docs/guide/a.md', text });

describe('the program of a page', () => {
  it('is all of its ts blocks in order', () => {
    const text = '```ts\nconst a = 1;\n```\ntext\n```sh\nls\n```\n```ts\nconst b = a;\n```\n';
    expect(programOf(page(text))).toBe('const a = 1;\n\nconst b = a;\n\nexport {};\n');
  });

  it('does not exist where there is no ts block', () => {
    expect(programOf(page('```sh\nls\n```\n'))).toBeUndefined();
  });
});

describe('links of a page', () => {
  it('are those that lead to files and headings, not those of code and of other sites', () => {
    const text = '[a](b.md#c) [d](https://example.org) [e](#f) `[g](h.md)`\n```\n[i](j.md)\n```\n';
    expect(linksOf(page(text))).toEqual(['b.md#c', '#f']);
  });

  it('are found in the head of a home page', () => {
    expect(linksOf(page('---\nhero:\n  actions:\n    - text: Draw\n      link: /demo\n---\n'))).toEqual(['/demo']);
  });

  it('may leave out the ending, and begin at the docs', () => {
    expect(deadLinks(root, [page('[a](../shapes) [b](/shapes) [c](../shapes.md)')])).toEqual([]);
  });

  it('that lead nowhere are named with their page', () => {
    const other = { path: 'docs/b.md', text: '# One\n' };
    expect(deadLinks(root, [page('[a](nowhere.md) [b](../b.md#one) [c](/b#two) [d](#three)'), other])).toEqual(
      ['nowhere.md', '/b#two', '#three'].map(
        (target) =>
          `docs/guide/a.md: link must lead to a file or a heading, got ${target}. Correct it or add the page.`,
      ),
    );
  });
});

it('anchors of a page are those of its headings, as VitePress makes them, and those that are written out', () => {
  const text = '# A `b_c`: Ü\n## 2 x 3\n## Why\n## Why\n### add() {#add}\n<a id="x"></a>\n```sh\n# comment\n```\n';
  expect([...anchorsOf(page(text))].toSorted()).toEqual(['_2-x-3', 'a-b-c-u', 'add', 'why', 'why-1', 'x']);
});

it('the pages are the docs and the READMEs', () => {
  const paths = pagesOf(root).map(({ path }) => path);
  expect(paths).toEqual(expect.arrayContaining(['README.md', 'docs/shapes.md', 'packages/tensor-webgpu/README.md']));
});
