import { defineConfig } from 'vitepress';

const pages = (folder: string, items: readonly (readonly [name: string, title: string])[]) =>
  items.map(([name, text]) => ({ text, link: `/${folder}/${name}` }));

const base = process.env['STAR_SITE_BASE'] ?? '/';

export default defineConfig({
  title: 'star-webgpu',
  description: 'STAR, the scale-wise text-to-image model, in TypeScript: trained and sampled by WGSL compute shaders.',
  srcDir: '../../docs',
  base,
  cleanUrls: true,
  ignoreDeadLinks: true,
  lastUpdated: false,
  head: [['link', { rel: 'icon', type: 'image/svg+xml', href: `${base}favicon.svg` }]],
  vite: {
    resolve: { conditions: ['@star-webgpu/source'] },
    worker: { format: 'es' },
    build: { target: 'es2022', assetsInlineLimit: 0 },
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: 'deep',
    nav: [
      { text: 'Draw', link: '/demo' },
      { text: 'Guide', link: '/guide/getting-started' },
      { text: 'Concepts', link: '/concepts/how-star-works' },
      { text: 'Results', link: '/results/log' },
    ],
    sidebar: [
      {
        text: 'Guide',
        items: pages('guide', [
          ['getting-started', 'Getting started'],
          ['command-line', 'Command line'],
          ['control-the-sampler', 'Control the sampler'],
          ['edit-a-picture', 'Edit a picture'],
          ['serve-pictures', 'Serve pictures'],
          ['your-own-pictures', 'Your own pictures'],
          ['use-in-your-code', 'Use in your code'],
          ['published-weights', 'Use the published weights'],
          ['training', 'Training'],
          ['train-the-tokenizer', 'Train the tokenizer'],
          ['resume-and-reproduce', 'Resume and reproduce'],
          ['watch', 'Watch a run'],
          ['config', 'Config reference'],
          ['evaluate', 'Evaluate'],
          ['adapters', 'Adapters'],
          ['offline', 'Without network or Node'],
        ]),
      },
      {
        text: 'Concepts',
        items: pages('concepts', [
          ['how-star-works', 'How STAR works'],
          ['multi-scale-vqvae', 'The multi-scale VQVAE'],
          ['transformer', 'The transformer'],
          ['text', 'Text'],
          ['sampling', 'Sampling'],
        ]),
      },
      {
        text: 'Internals',
        items: [
          ...pages('internals', [
            ['architecture', 'Architecture'],
            ['tensors-and-kernels', 'Tensors and kernels'],
            ['autograd-and-memory', 'Autograd and memory'],
            ['determinism', 'Determinism'],
            ['checkpoints', 'Checkpoints'],
            ['testing', 'Testing'],
          ]),
          { text: 'Letters of shapes', link: '/shapes' },
        ],
      },
      {
        text: 'Results',
        items: [
          { text: 'The emoji model', link: '/results/model-emoji' },
          { text: 'Log of measurements', link: '/results/log' },
          { text: 'Why these dependencies', link: '/decisions/dependencies' },
        ],
      },
    ],
    socialLinks: [{ icon: 'github', link: 'https://github.com/star-webgpu/star-webgpu' }],
    footer: { message: 'MIT licence. The emoji are Fluent Emoji by Microsoft, MIT licence.' },
  },
});
