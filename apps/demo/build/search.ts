import type { DefaultTheme } from 'vitepress';

/** Gives what search finds of a page: of the reference names and what is said of them, not their signatures and tables, which are most of its size. */
export const searchedText: NonNullable<DefaultTheme.LocalSearchOptions['_render']> = (page, env, md) =>
  md.render(env.relativePath.startsWith('reference/') ? withoutDetails(page) : page, env);

/** Markdown without code blocks, tables, links to sources and labels of what follows. */
export const withoutDetails = (page: string): string =>
  page.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/^(\||<small>|\*\*).*$/gm, '');
