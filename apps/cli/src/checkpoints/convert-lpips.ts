import { loadLpips, Lpips, lpipsConfig } from '@star-webgpu/metrics';
import { jsonFile, type StoredTensor } from '@star-webgpu/tensor-webgpu';
import { recorded, shapesOf } from '../null-device.ts';
import type { Conversion, ConversionOptions } from './conversion.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import { type Found, lpipsNetwork, sideOf } from './recognise.ts';

/** Names in files of LPIPS and torchvision that the network does without: the classifier, layer weights a second time, constants. */
const unused = /^(classifier|lins|scaling_layer)\./;

/** Filters of the published networks' first layers. */
const firstFilters = 64;

/** LPIPS of ours from a whole LPIPS model, or from torchvision's network and the weights of its layers in a file of their own. */
export async function convertLpips(found: Found, { lpipsWeights }: ConversionOptions): Promise<Conversion> {
  const layers = lpipsWeights === undefined ? new Map() : (await openCheckpoint(lpipsWeights)).tensors;
  const weights = new Map([...[...found.tensors].map(withPlainName), ...layers]);
  if (!weights.has('lin0.model.1.weight'))
    throw new Error(
      'convert: LPIPS must have weights of its layers beside the network, got none. Fetch lpips/weights/v0.1/vgg.pth or alex.pth of https://github.com/richzhang/PerceptualSimilarity, and name it with --lpips-weights.',
    );
  const network = lpipsNetwork(weights);
  const [filters] = sideOf(weights, 'features.0.weight', [firstFilters]) as [number];
  const config = lpipsConfig({ network, channelDivisor: firstFilters / filters });
  return {
    kind: 'lpips',
    title: `LPIPS with ${network}`,
    files: new Map([['config.json', jsonFile(config)]]),
    weights,
    unused,
    shapes: shapesOf(recorded(() => new Lpips(config))),
    load: loadLpips,
    notes: [],
  };
}

/** `net.slice2.3.weight` of the lpips package is `features.3.weight` of torchvision. */
const withPlainName = ([name, tensor]: readonly [string, StoredTensor]): readonly [string, StoredTensor] => [
  name.replace(/^net\.slice\d\./, 'features.'),
  tensor,
];
