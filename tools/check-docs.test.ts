import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { deadLinks, linksOf, pagesOf, programOf } from './check-docs.ts';

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
  it('are those that lead to files, without anchors, not those of code and of other sites', () => {
    const text = '[a](b.md#c) [d](https://example.org) [e](#f) `[g](h.md)`\n```\n[i](j.md)\n```\n';
    expect(linksOf(page(text))).toEqual(['b.md']);
  });

  it('are found in the head of a home page', () => {
    expect(linksOf(page('---\nhero:\n  actions:\n    - text: Draw\n      link: /demo\n---\n'))).toEqual(['/demo']);
  });

  it('may leave out the ending, and begin at the docs', () => {
    expect(deadLinks(root, page('[a](../shapes) [b](/shapes) [c](../shapes.md)'))).toEqual([]);
  });

  it('that lead nowhere are named with their page', () => {
    expect(deadLinks(root, page('[a](nowhere.md)'))).toEqual([
      'docs/guide/a.md: link must lead to a file, got nowhere.md. Correct it or add the page.',
    ]);
  });
});

it('the pages are the docs and the READMEs', () => {
  const paths = pagesOf(root).map(({ path }) => path);
  expect(paths).toEqual(expect.arrayContaining(['README.md', 'docs/shapes.md', 'packages/tensor-webgpu/README.md']));
});
