import type { Plugin } from './any-folder.ts';

const home = /\/theme-default\/components\/VPHome\.vue$/;

/** Makes the content of the home page its main landmark, as the theme does for all other pages: readers of screens jump there. */
export function homeMain(): Plugin {
  return {
    name: 'home-main',
    enforce: 'pre',
    transform(code, id) {
      if (!home.test(id)) return undefined;
      const changed = code.replace(
        /(<template>\s*)<div([\s\S]*)<\/div>(\s*<\/template>\s*<style)/,
        '$1<main$2</main>$3',
      );
      if (changed === code)
        throw new Error(`homeMain: ${id} must hold one div, got another template. Look at the new theme.`);
      return changed;
    },
  };
}
