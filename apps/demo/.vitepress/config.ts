import { fileURLToPath } from 'node:url';
import type { ConfigEnv } from 'vite';
import { defineConfig, type UserConfig } from 'vitepress';
import { anyFolder, relativeLinks, unknownFolder } from '../build/any-folder.ts';
import { homeMain } from '../build/home-main.ts';
import { writeReference } from '../build/reference.ts';
import { searchedText } from '../build/search.ts';
import { addServiceWorker } from '../build/service-worker.ts';
import { unusedStyles } from '../build/unused-styles.ts';
import { sidebar } from './sidebar.ts';

/** Published pages find their folder themselves. */
const baseFor = ({ command }: ConfigEnv): string => (command === 'build' ? unknownFolder : '/');

export default async (env: ConfigEnv): Promise<UserConfig> => {
  await writeReference();
  return defineConfig({
    title: 'star-webgpu',
    description:
      'STAR, the scale-wise text-to-image model, in TypeScript: trained and sampled by WGSL compute shaders.',
    srcDir: '../../docs',
    base: baseFor(env),
    ignoreDeadLinks: true,
    lastUpdated: false,
    // The service worker keeps all pages anyway.
    router: { prefetchLinks: false },
    head: [['link', { rel: 'icon', type: 'image/svg+xml', href: `${baseFor(env)}favicon.svg` }]],
    markdown: { theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' } },
    vite: {
      resolve: { conditions: ['@star-webgpu/source'] },
      publicDir: fileURLToPath(new URL('../public', import.meta.url)),
      plugins: [anyFolder(), homeMain()],
      css: { postcss: { plugins: [unusedStyles] } },
      worker: { format: 'es', plugins: () => [anyFolder()] },
      // The theme and the live page are written with setup functions only.
      define: { __VUE_OPTIONS_API__: 'false' },
      build: { target: 'es2022', assetsInlineLimit: 0 },
    },
    async buildEnd({ outDir }) {
      await relativeLinks(outDir);
      await addServiceWorker(outDir);
    },
    themeConfig: {
      search: { provider: 'local', options: { _render: searchedText } },
      outline: 'deep',
      nav: [
        { text: 'Draw', link: '/demo' },
        { text: 'Guide', link: '/guide/getting-started' },
        { text: 'Concepts', link: '/concepts/how-star-works' },
        { text: 'Reference', link: '/reference/' },
        { text: 'Results', link: '/results/log' },
      ],
      sidebar,
      socialLinks: [{ icon: 'github', link: 'https://github.com/star-webgpu/star-webgpu' }],
      footer: { message: 'MIT licence. The emoji are Fluent Emoji by Microsoft, MIT licence.' },
    },
  });
};
