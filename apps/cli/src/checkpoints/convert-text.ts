import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { folderFiles } from '@star-webgpu/tensor-webgpu/node';
import { jsonFile, readBytes, type ReadFile, readText } from '@star-webgpu/tensor-webgpu';
import {
  loadTextEncoder,
  plainNames,
  readTokenizerFiles,
  storedConfig,
  storedModel,
  T5Text,
  type TextModel,
} from '@star-webgpu/text-encoder';
import type { Conversion, ConversionOptions } from './conversion.ts';
import { recorded, shapesOf } from '../null-device.ts';
import type { Found } from './recognise.ts';

/** Files that show that a folder has a tokenizer. */
const tokenizerFiles = ['tokenizer.json', 'vocab.json'];

/** The folder of a tokenizer: as said, the weights' own, or `tokenizer` beside it, as Stable Diffusion has it. */
export function tokenizerFolder(folder: string, said: string | undefined): string {
  const places = said === undefined ? [folder, join(folder, '../tokenizer')] : [said];
  const place = places.find((one) => tokenizerFiles.some((file) => existsSync(join(one, file))));
  if (place !== undefined) return place;
  throw new Error(
    `convert: a tokenizer must lie in ${places.join(' or ')}, got no ${tokenizerFiles.join(' or ')} there. Name its folder with --tokenizer.`,
  );
}

/** All bytes of small files of a folder. */
export const smallFiles = (folder: string): ((path: string) => Promise<Uint8Array>) => {
  const read: ReadFile = folderFiles(folder);
  return async (path) => readBytes(await read(path));
};

/** The config.json beside the weights. @throws Error where there is none, or no JSON */
export async function readConfig(folder: string): Promise<Record<string, unknown>> {
  const path = join(folder, 'config.json');
  if (!existsSync(path))
    throw new Error(
      `convert: ${path} must exist, got nothing. Take the whole folder that the weights were published in.`,
    );
  try {
    return JSON.parse(await readText(await folderFiles(folder)('config.json'))) as Record<string, unknown>;
  } catch (cause) {
    throw new Error(`convert: ${path} must hold JSON. Fetch it again.`, { cause });
  }
}

/** A text encoder of ours from a published folder: CLIP text or the encoder of a T5. */
export async function convertText(found: Found, folder: string, { tokenizer }: ConversionOptions): Promise<Conversion> {
  const stored = storedModel(await readConfig(folder));
  const json = await readTokenizerFiles(smallFiles(tokenizerFolder(folder, tokenizer)));
  const model: TextModel = recorded<TextModel>(stored.create);
  const { layers, width, positions } = model.config;
  return {
    kind: found.kind,
    title: `${model instanceof T5Text ? 'T5 encoder' : 'CLIP text encoder'} of ${layers} layers and width ${width}, ${positions} tokens a prompt`,
    files: new Map([
      ['config.json', jsonFile(storedConfig(model))],
      ['tokenizer.json', jsonFile(json)],
    ]),
    weights: plainNames(found.tensors, stored),
    unused: stored.ignore,
    shapes: shapesOf(model),
    load: (read) => loadTextEncoder(read),
    notes: [],
  };
}
