import promptList from '@star-webgpu/model-emoji/model/prompts.txt?url';
import sampling from '@star-webgpu/model-emoji/model/sampling.json';
import star from '@star-webgpu/model-emoji/model/star/config.json';
import { settingsOf } from '../painter/settings.ts';
import type { ModelFacts } from '../painter/painter.ts';

/** What the page knows of the site's model before it is there. */
export const ownModel: ModelFacts = {
  name: 'emoji',
  place: 'site',
  sides: star.patchNumbers,
  codebookSize: star.codebookSize,
  hasRefiner: false,
  settings: settingsOf(sampling),
};

/** Some of what the site's model can draw, shown from the first moment. */
export const favourites = [
  'red apple',
  'sunflower',
  'panda',
  'birthday cake',
  'octopus',
  'broccoli',
  'lion',
  'mushroom',
] as const;

/** All that the site's model can draw, or some of it where the list cannot be had. */
export async function ownPrompts(): Promise<readonly string[]> {
  const response = await fetch(promptList).catch(() => undefined);
  return response?.ok ? promptsOf(await response.text()) : favourites;
}

/** Prompts of a model's prompts.txt, one a line. */
export function promptsOf(text: string): readonly string[] {
  return text.split(/\r?\n/).filter((line) => line.trim() !== '');
}
