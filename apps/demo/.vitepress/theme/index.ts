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
  enhanceApp({ app, router }) {
    const { route } = router;
    // The live page follows its own addresses: loading it anew on the way back would drop its pictures and its model.
    router.onBeforePageLoad = (to) =>
      route.data.frontmatter.pageClass !== 'live-page' || new URL(to, location.href).pathname !== route.path;
    app.component('LiveDemo', LiveDemo);
    app.component('RunExample', RunExample);
    if (!import.meta.env.SSR) keepSite();
  },
} satisfies Theme;
