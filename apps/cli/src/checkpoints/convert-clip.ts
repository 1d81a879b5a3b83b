import { ClipVision, loadClip, parseClipConfig, unusedClipWeights } from '@star-webgpu/metrics';
import { jsonFile } from '@star-webgpu/tensor-webgpu';
import { ClipText, readTokenizerFiles } from '@star-webgpu/text-encoder';
import type { Conversion, ConversionOptions } from './conversion.ts';
import { readConfig, smallFiles, tokenizerFolder } from './convert-text.ts';
import { recorded, shapesOf } from '../null-device.ts';
import type { Found } from './recognise.ts';

/** A CLIP model of ours, both towers, from a published folder. */
export async function convertClip(found: Found, folder: string, { tokenizer }: ConversionOptions): Promise<Conversion> {
  const json = await readConfig(folder);
  const config = parseClipConfig(json);
  const words = await readTokenizerFiles(smallFiles(tokenizerFolder(folder, tokenizer)));
  const [text, vision] = [recorded(() => new ClipText(config.text)), recorded(() => new ClipVision(config))];
  const { layers, width, patch } = config.vision;
  return {
    kind: 'clip',
    title: `CLIP with an image tower of ${layers} layers and width ${width}, patches of ${patch} px`,
    files: new Map([
      ['config.json', jsonFile(json)],
      ['tokenizer.json', jsonFile(words)],
    ]),
    weights: found.tensors,
    unused: unusedClipWeights,
    shapes: new Map([...shapesOf(text), ...shapesOf(vision)]),
    load: async (read) => {
      const clip = await loadClip(read);
      return { dispose: () => clip.dispose() };
    },
    notes: [],
  };
}
