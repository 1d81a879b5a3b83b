import { createHash } from 'node:crypto';
import { assignBytes, type Tensor } from '@star-webgpu/tensor-webgpu';
import type { Communicator } from './communicator.ts';
import { gatherTexts } from './gather.ts';

type Weights = ReadonlyMap<string, Tensor>;

const bytesOf = async (tensor: Tensor): Promise<Uint8Array> => {
  const { buffer, byteOffset, byteLength } = await tensor.hostData();
  return new Uint8Array(buffer, byteOffset, byteLength);
};

/** SHA-256 of names and values. */
async function digestOf(weights: Weights): Promise<string> {
  const hash = createHash('sha256');
  for (const [name, tensor] of weights) hash.update(name).update(await bytesOf(tensor));
  return hash.digest('hex');
}

/** Ranks whose text is not rank 0's. */
const othersThanFirst = (texts: readonly string[]): number[] =>
  [...texts.keys()].filter((rank) => texts[rank] !== texts[0]);

async function ranksWithOtherWeights(communicator: Communicator, weights: Weights): Promise<number[]> {
  return othersThanFirst(await gatherTexts(communicator, await digestOf(weights)));
}

/**
 * Begins on all ranks at the same place with the weights of rank 0.
 * @param place where this rank stands, as JSON can say it.
 * @throws Error naming the ranks that stand elsewhere.
 */
export async function beginTogether(communicator: Communicator, weights: Weights, place: unknown): Promise<void> {
  if (communicator.size === 1) return;
  const places = await gatherTexts(communicator, JSON.stringify(place));
  const [odd] = othersThanFirst(places);
  if (odd !== undefined)
    throw new Error(
      `train: every rank must begin at the place of rank 0, ${places[0]}, got ${places[odd]} on rank ${odd}. Give the run a folder that all machines share.`,
    );
  if (!(await ranksWithOtherWeights(communicator, weights)).length) return;
  for (const tensor of weights.values()) {
    const bytes = await bytesOf(tensor);
    await communicator.broadcast(bytes);
    assignBytes(tensor, bytes);
  }
  await checkSameWeights(communicator, weights);
}

/** @throws Error naming the ranks whose weights are not those of rank 0, bit for bit. */
export async function checkSameWeights(communicator: Communicator, weights: Weights): Promise<void> {
  if (communicator.size === 1) return;
  const odd = await ranksWithOtherWeights(communicator, weights);
  if (odd.length)
    throw new Error(
      `train: every rank must have the weights of rank 0, bit for bit, got others on rank ${odd.join(', ')}. Use adapters of one kind with one driver, and go on from the last checkpoint.`,
    );
}
