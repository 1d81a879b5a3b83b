import type { HostRandom } from '@star-webgpu/tensor-webgpu';
import type { HostValues } from '../stage.ts';
import { type Progressive, trainedScales } from './progressive.ts';

export interface TokenOptions {
  /** Begins with the coarse scales; all from the first step on if not given. */
  readonly progressive?: Progressive | undefined;
  /**
   * Tokens of a picture that are trained: those beyond it are left out of the last scale, drawn anew for each batch (STAR trains on 8800 of
   * 9451 at 1024 px). All if not given.
   */
  readonly keepTokens?: number | undefined;
}

/** The tokens of a batch that a step trains. */
export interface TrainedTokens {
  /** Their places among those of all scales, rising. */
  readonly places: readonly number[];
  /** False where they are the first ones. */
  readonly scattered: boolean;
  /** Weight of the finest scale's loss while scales are being added. */
  readonly weight?: number;
}

/** The tokens that a step trains, by the offsets of all scales and the end; undefined for all. */
export function trainedTokens(
  { progressive, keepTokens }: TokenOptions,
  offsets: readonly number[],
  { step, random }: { readonly step: number; readonly random: () => HostRandom },
): TrainedTokens | undefined {
  const scales = offsets.length - 1;
  const { last, weight } = progressive ? trainedScales(progressive, scales, step) : { last: scales - 1, weight: 1 };
  if (last < scales - 1) return { places: upTo(offsets[last + 1]!), scattered: false, weight };
  if (keepTokens === undefined || keepTokens >= offsets[scales]!) return undefined;
  return { places: keptPlaces(offsets, keepTokens, random()), scattered: true };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** All tokens of the coarser scales, and as many of the last one, drawn without repeats, as make up the number. */
function keptPlaces(offsets: readonly number[], count: number, random: HostRandom): number[] {
  const [first, L] = offsets.slice(-2) as [number, number];
  if (count <= first)
    throw new RangeError(
      `keepTokens must be more than the ${first} tokens of the coarser scales, got ${count}. Only tokens of the last scale are left out.`,
    );
  const places = upTo(L);
  for (let i = first; i < count; i++) {
    const drawn = i + Math.floor(random.uniform() * (L - i));
    [places[i], places[drawn]] = [places[drawn]!, places[i]!];
  }
  return places.slice(0, count).toSorted((a, b) => a - b);
}

/** What a step reads of tokens: their codes, and the transformer's input, in which the first token has no row. */
export type TokenInputs = Readonly<Record<'targets_BL', HostValues> & Partial<Record<'input_BlZ', HostValues>>>;

/** Of what a step reads of all tokens, the rows of those that are trained; and their places or weight, where it needs them. */
export function ofTokens(
  { targets_BL, input_BlZ }: Required<TokenInputs>,
  { places, scattered, weight }: TrainedTokens,
): TokenInputs & Partial<Record<'places_l' | 'finestWeight', HostValues>> {
  const inner = places.slice(1).map((place) => place - 1);
  return {
    targets_BL: rowsOf(targets_BL, places),
    ...(inner.length && { input_BlZ: rowsOf(input_BlZ, inner) }),
    ...(scattered && { places_l: { values: Uint32Array.from(places), shape: [places.length] } }),
    ...(weight !== undefined && { finestWeight: { values: Float32Array.of(weight), shape: [] } }),
  };
}

/** Some rows of each picture. [B, L, ...] -> [B, l, ...]. */
function rowsOf({ values, shape: [B, L, ...rest] }: HostValues, rows: readonly number[]): HostValues {
  const width = rest.reduce((product, side) => product * side, 1);
  const Values = values.constructor as Uint32ArrayConstructor | Float32ArrayConstructor;
  const some = new Values(B! * rows.length * width);
  for (let b = 0; b < B!; b++)
    rows.forEach((row, i) => {
      const from = (b * L! + row) * width;
      some.set(values.subarray(from, from + width), (b * rows.length + i) * width);
    });
  return { values: some, shape: [B!, rows.length, ...rest] };
}
