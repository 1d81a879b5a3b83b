import {
  inceptionConfig,
  inceptionShapes,
  loadInception,
  publishedInceptionConfig,
  unusedInceptionWeights,
} from '@star-webgpu/metrics';
import { jsonFile } from '@star-webgpu/tensor-webgpu';
import type { Conversion } from './conversion.ts';
import { type Found, sideOf } from './recognise.ts';

/** Filters of the published network's first layer. */
const firstFilters = 32;

/** The Inception network of ours from the published weights of FID. */
export function convertInception({ tensors }: Found): Conversion {
  const [filters] = sideOf(tensors, 'Conv2d_1a_3x3.conv.weight', [firstFilters]) as [number];
  const [classes] = sideOf(tensors, 'fc.weight', [publishedInceptionConfig.classes]) as [number];
  const config = inceptionConfig({ classes, channelDivisor: firstFilters / filters });
  return {
    kind: 'inception',
    title: `Inception of FID with ${classes} classes`,
    files: new Map([['config.json', jsonFile(config)]]),
    weights: tensors,
    unused: unusedInceptionWeights,
    shapes: inceptionShapes(config),
    load: loadInception,
    notes: [],
  };
}
