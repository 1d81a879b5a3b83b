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
  /**
   * What a token of each scale counts in the loss, in proportion: one number above 0 for each. The loss stays a weighted mean over tokens. All alike
   * if not given, where the first token, which the words alone decide, is one of many.
   */
  readonly scaleWeights?: readonly number[] | undefined;
}

/** The tokens of a batch that a step trains. */
export interface TrainedTokens {
  /** Their places among those of all scales, rising; all if not given. */
  readonly places?: readonly number[];
  /** True where they are not the first ones. */
  readonly scattered?: boolean;
  /** What the mean cost of each of their scales counts in the loss; as many tokens as it has if not given. */
  readonly shares?: readonly number[];
}

/** The tokens that a step trains, by the offsets of all scales and the end; undefined for all, alike. */
export function trainedTokens(
  { progressive, keepTokens, scaleWeights }: TokenOptions,
  offsets: readonly number[],
  { step, random }: { readonly step: number; readonly random: () => HostRandom },
): TrainedTokens | undefined {
  const scales = offsets.length - 1;
  const sizes = offsets.slice(1).map((end, scale) => end - offsets[scale]!);
  const { last, weight } = progressive ? trainedScales(progressive, scales, step) : { last: scales - 1, weight: 1 };
  if (last < scales - 1) {
    const shares = sharesOf(sizes, scaleWeights).slice(0, last + 1);
    return { places: upTo(offsets[last + 1]!), shares: [...shares.slice(0, last), shares[last]! * weight] };
  }
  if (keepTokens === undefined || keepTokens >= offsets[scales]!)
    return scaleWeights && { shares: sharesOf(sizes, scaleWeights) };
  const kept = [...sizes.slice(0, -1), keepTokens - offsets[last]!];
  const places = keptPlaces(offsets, keepTokens, random());
  return { places, scattered: true, ...(scaleWeights && { shares: sharesOf(kept, scaleWeights) }) };
}

/** What the mean cost of each scale counts, by its tokens and their weights; all together 1. */
function sharesOf(sizes: readonly number[], weights: readonly number[] = sizes.map(() => 1)): number[] {
  const counts = sizes.map((size, scale) => size * weights[scale]!);
  const all = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => count / all);
}

/** @throws RangeError where there is not one weight above 0 for each scale. */
export function checkScaleWeights(weights: readonly number[], patchNumbers: readonly number[]): void {
  if (weights.length === patchNumbers.length && weights.every((weight) => weight > 0 && Number.isFinite(weight)))
    return;
  throw new RangeError(
    `scaleWeights must be ${patchNumbers.length} numbers above 0, one for each of the scales ${patchNumbers.join(', ')}, got ${weights.join(', ') || 'none'}.`,
  );
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

/** Of what a step reads of all tokens, the rows of those that are trained; and their places or the shares of their scales, where it needs them. */
export function ofTokens(
  all: TokenInputs,
  { places, scattered, shares }: TrainedTokens,
): TokenInputs & Partial<Record<'places_l' | 'shares_S', HostValues>> {
  return {
    ...(places ? rowsAt(all, places) : all),
    ...(places && scattered && { places_l: { values: Uint32Array.from(places), shape: [places.length] } }),
    ...(shares && { shares_S: { values: Float32Array.from(shares), shape: [shares.length] } }),
  };
}

function rowsAt({ targets_BL, input_BlZ }: TokenInputs, places: readonly number[]): TokenInputs {
  const inner = places.slice(1).map((place) => place - 1);
  return {
    targets_BL: rowsOf(targets_BL, places),
    ...(input_BlZ && inner.length && { input_BlZ: rowsOf(input_BlZ, inner) }),
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
