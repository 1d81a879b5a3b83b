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

/** Some of what the site's model can draw: the list of all is fetched once somebody looks for more. */
export const favourites = [
  'red apple',
  'sunflower',
  'frog',
  'rainbow',
  'smiling face with sunglasses',
  'police car',
  'red heart',
  'ghost',
] as const;

/** All that the site's model can draw. @throws Error where the list cannot be had now */
export async function ownPrompts(): Promise<readonly string[]> {
  const response = await fetch(promptList);
  if (!response.ok) throw new Error(`ownPrompts: ${promptList} must be served, got status ${response.status}.`);
  return promptsOf(await response.text());
}

/** Prompts of a model's prompts.txt, one a line. */
export function promptsOf(text: string): readonly string[] {
  return text.split(/\r?\n/).filter((line) => line.trim() !== '');
}
