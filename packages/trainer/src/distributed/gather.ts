import { joined } from '../joined.ts';
import type { Observed } from '../stage.ts';
import type { Communicator } from './communicator.ts';

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Numbers of all ranks, one rank's behind the other's; the same count of each. */
export async function gatherFloats(communicator: Communicator, values: Float32Array): Promise<Float32Array> {
  if (communicator.size === 1) return values;
  const all = await communicator.allGather(bytesOf(values));
  return joined(
    Float32Array,
    all.map((bytes) => new Float32Array(bytes.slice().buffer)),
  );
}

/** Texts of all ranks, of any length. */
export async function gatherTexts(communicator: Communicator, text: string): Promise<string[]> {
  if (communicator.size === 1) return [text];
  const own = new TextEncoder().encode(text);
  const lengths = await gatherFloats(communicator, Float32Array.of(own.length));
  const padded = new Uint8Array(Math.max(...lengths));
  padded.set(own);
  const all = await communicator.allGather(padded);
  return all.map((bytes, rank) => new TextDecoder().decode(bytes.slice(0, lengths[rank])));
}

/** True on every rank if it is on any: a wish of one process that all follow together. */
export async function anyRank(communicator: Communicator, wish: boolean): Promise<boolean> {
  if (communicator.size === 1) return wish;
  const wishes = await communicator.allGather(Uint8Array.of(Number(wish)));
  return wishes.some(([wished]) => wished === 1);
}

/** The same of all ranks. Each is gathered when it is asked for, in the order in which ranks ask, which is the same on all of them. */
export function gatheredInTurn(
  communicator: Communicator,
  observed: readonly (readonly Observed[])[],
): readonly (readonly Observed[])[] {
  if (communicator.size === 1) return observed;
  let turn: Promise<unknown> = Promise.resolve();
  const gathered = (one: Observed): Observed => ({
    data: () => {
      const own = turn.then(async () => gatherFloats(communicator, await one.data()));
      turn = own;
      return own;
    },
  });
  return observed.map((ones) => ones.map(gathered));
}
