import { defineAsyncComponent, h } from 'vue';
import type { Theme } from 'vitepress';
import DefaultTheme from 'vitepress/theme-without-fonts';
import { keepSite } from '../../src/offline/keep-site.ts';
import './style.css';

/** Parts that only some pages need come with those pages. */
const HomePicture = defineAsyncComponent(() => import('../../src/home/HomePicture.vue'));
const HomePrompt = defineAsyncComponent(() => import('../../src/home/HomePrompt.vue'));
const RunExample = defineAsyncComponent(() => import('../../src/examples/RunExample.vue'));
const LiveDemo = defineAsyncComponent(() => import('../../src/live/LiveDemo.vue'));

export default {
  extends: DefaultTheme,
  Layout: () =>
    h(DefaultTheme.Layout, null, {
      'home-hero-image': () => h(HomePicture),
      'home-hero-info-after': () => h(HomePrompt),
    }),
  enhanceApp({ app }) {
    app.component('LiveDemo', LiveDemo);
    app.component('RunExample', RunExample);
    if (!import.meta.env.SSR) keepSite();
  },
} satisfies Theme;
