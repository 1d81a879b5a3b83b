import type { DefaultTheme } from 'vitepress';
import { referenceEntries } from '../build/reference-entries.ts';

const pages = (
  folder: string,
  items: readonly (readonly [name: string, title: string])[],
): DefaultTheme.SidebarItem[] => items.map(([name, text]) => ({ text, link: `/${folder}/${name}` }));

/** All pages, in the order in which they are read. Groups that can be folded lead somewhere, as VitePress would else put one button into another. */
export const sidebar: DefaultTheme.SidebarItem[] = [
  {
    text: 'Guide',
    items: pages('guide', [
      ['getting-started', 'Getting started'],
      ['command-line', 'Command line'],
      ['commands', 'Command reference'],
      ['control-the-sampler', 'Control the sampler'],
      ['edit-a-picture', 'Edit a picture'],
      ['serve-pictures', 'Serve pictures'],
      ['your-own-pictures', 'Your own pictures'],
      ['use-in-your-code', 'Use in your code'],
      ['published-weights', 'Use the published weights'],
      ['training', 'Training'],
      ['many-machines', 'Many machines'],
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
    text: 'One package alone',
    link: '/guide/use-in-your-code#which-package-for-what',
    collapsed: true,
    items: pages(
      'packages',
      ['tensor-webgpu', 'vqvae', 'text-encoder', 'star-transformer', 'sampler', 'data-lmdb', 'trainer', 'metrics'].map(
        (name) => [name, name] as const,
      ),
    ),
  },
  {
    text: 'Reference',
    link: '/reference/',
    collapsed: true,
    items: referenceEntries().map(({ page }) => ({ text: page, link: `/reference/${page}` })),
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
      { text: 'Sampling options', link: '/results/sampling' },
      { text: 'Log of measurements', link: '/results/log' },
      { text: 'Why these dependencies', link: '/decisions/dependencies' },
      { text: 'Licences', link: '/licences' },
    ],
  },
];
