import promptList from '@star-webgpu/model-emoji/model/prompts.txt?raw';
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

/** What the site's model can draw. */
export const ownPrompts: readonly string[] = promptsOf(promptList);

/** Prompts of a model's prompts.txt, one a line. */
export function promptsOf(text: string): readonly string[] {
  return text.split(/\r?\n/).filter((line) => line.trim() !== '');
}
