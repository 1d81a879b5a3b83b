import { checkWeights, hostFloats, type HostTensor, hostTensor, readSafetensors } from '@star-webgpu/tensor-webgpu';
import { readJson, type ReadFile } from '../read-file.ts';
import { type InceptionConfig, inceptionConfig } from './config.ts';
import { Inception, storedShape } from './inception.ts';
import { inceptionLayout, type Unit, unitsOf } from './layout.ts';

/** In files of other programs: counters, and the side classifier that no feature passes. */
export const unusedInceptionWeights: RegExp = /\.num_batches_tracked$|^AuxLogits\./;

const normParts = ['weight', 'bias', 'running_mean', 'running_var'] as const;

/** Names and shapes of a published state_dict for a config: `{unit}.conv.weight`, `{unit}.bn.*`, `fc.*`. */
export function inceptionShapes(config: InceptionConfig): Map<string, readonly number[]> {
  const layout = inceptionLayout(config);
  const convolutions = unitsOf(layout).flatMap(({ name, in: I, out: O, kernel }): [string, readonly number[]][] => [
    [`${name}.conv.weight`, [O, I, ...kernel]],
    ...normParts.map((part): [string, readonly number[]] => [`${name}.bn.${part}`, [O]]),
  ]);
  return new Map([...convolutions, ['fc.weight', [config.classes, layout.features]], ['fc.bias', [config.classes]]]);
}

/** The network with weights of a published state_dict, frozen. @throws WeightsError listing every tensor that does not fit. */
export function inceptionOf(config: InceptionConfig, weights: ReadonlyMap<string, HostTensor>): Inception {
  checkWeights('Inception', { needed: inceptionShapes(config), given: weights, ignore: unusedInceptionWeights });
  const folded = unitsOf(inceptionLayout(config)).flatMap((unit) => fold(unit, weights, config.normEpsilon));
  const last = ['fc.weight', 'fc.bias'].map((name): [string, HostTensor] => [name, weights.get(name)!]);
  return new Inception(config).load(new Map([...folded, ...last])).freeze();
}

/**
 * The network from a folder: `config.json` (optional fields of InceptionConfig) and `model.safetensors` with the published state_dict's names.
 * @throws MetricError, SafetensorsError or WeightsError, each naming what is wrong.
 */
export async function loadInception(read: ReadFile): Promise<Inception> {
  const config = inceptionConfig(await readJson('loadInception', read, 'config.json'));
  return inceptionOf(config, readSafetensors(await read('model.safetensors')));
}

/** Weight and bias of a unit: w s and b - m s with s = g / sqrt(v + eps), in float64; the weight in its order on the device. */
function fold(unit: Unit, weights: ReadonlyMap<string, HostTensor>, epsilon: number): [string, HostTensor][] {
  const floats = (part: string): Float32Array => hostFloats(weights.get(`${unit.name}.${part}`)!) as Float32Array;
  const [gain, shift, means, variances] = normParts.map((part) => floats(`bn.${part}`)) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const scale = Float64Array.from(gain, (g, o) => g / Math.sqrt(variances[o]! + epsilon));
  const bias = Float32Array.from(shift, (b, o) => b - means[o]! * scale[o]!);
  const shape = storedShape(unit);
  return [
    [`${unit.name}.weight`, hostTensor(scaled(unit, floats('conv.weight'), scale), shape)],
    [`${unit.name}.bias`, hostTensor(bias, [unit.out])],
  ];
}

/** [O, I, kh, kw] -> [kh, kw, I, O] times a scale by O; 1x1 windows keep their order. */
function scaled(
  { in: I, out: O, kernel: [height, width] }: Unit,
  values: Float32Array,
  scale: Float64Array,
): Float32Array {
  const taps = height * width;
  const folded = new Float32Array(values.length);
  for (let o = 0; o < O; o++)
    for (let i = 0; i < I; i++)
      for (let tap = 0; tap < taps; tap++) {
        const from = (o * I + i) * taps + tap;
        folded[taps === 1 ? from : (tap * I + i) * O + o] = values[from]! * scale[o]!;
      }
  return folded;
}
