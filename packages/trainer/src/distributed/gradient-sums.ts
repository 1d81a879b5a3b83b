import { assignBytes, bytesPerElement, cast, empty, HostCopies, type Tensor } from '@star-webgpu/tensor-webgpu';
import type { Communicator, WireType } from './communicator.ts';

/** How the gradients of several processes travel. */
export interface GradientSumsOptions {
  /** How gradients travel; halves want an optimizer with a loss scale. f32 if not given. */
  readonly wire?: WireType | undefined;
  /** Bytes that travel together, or the whole of one larger gradient: 8 MiB if not given. */
  readonly bucketBytes?: number | undefined;
}

/** Gradients that travel together. */
interface Bucket {
  /** Places of their parameters. */
  readonly places: readonly number[];
  readonly copies: HostCopies;
  /** Where the ranks exchange them. */
  readonly memory: Uint8Array;
}

/** What a recorded step sends: `onFinal` is for its backward pass, `buckets` are in the order in which they leave. */
export interface Departures {
  readonly onFinal: (place: number, gradient: Tensor) => void;
  readonly buckets: readonly Bucket[];
}

/**
 * Sums of gradients over all ranks. Gradients of the last layers are final first: they leave the device, travel and are added up
 * while the backward pass of the layers before still runs (Li et al., 2020, PyTorch Distributed).
 */
export class GradientSums {
  /** The sums, in the order of the parameters and the type of the wire: the same tensors for every step. */
  readonly sums: readonly Tensor[];
  private readonly communicator: Communicator;
  private readonly wire: WireType;
  private readonly bucketBytes: number;
  private readonly buckets: Bucket[] = [];

  /** @param parameters f32 tensors, as the optimizer has them. */
  constructor(
    parameters: readonly Tensor[],
    communicator: Communicator,
    { wire = 'f32', bucketBytes = 8 * 2 ** 20 }: GradientSumsOptions = {},
  ) {
    this.communicator = communicator;
    this.wire = wire;
    this.bucketBytes = bucketBytes;
    this.sums = parameters.map(({ shape }) => empty(shape, wire).keep());
  }

  /** For one recording of a step; all of them share buckets, which the first one makes in the order of its gradients. */
  depart(): Departures {
    const leaving: Bucket[] = [];
    const waiting = new Map<number, Tensor>();
    const leave = (bucket: Bucket): void => {
      bucket.copies.take(bucket.places.map((place) => waiting.get(place)!));
      for (const place of bucket.places) waiting.delete(place);
      leaving.push(bucket);
    };
    let left = this.sums.length;
    const onFinal = (place: number, gradient: Tensor): void => {
      waiting.set(place, this.wire === 'f16' ? cast(gradient, 'f16') : gradient);
      left--;
      const bucket = this.bucketOf(place) ?? this.bucketOnceFull([...waiting.keys()], left === 0);
      if (bucket?.places.every((member) => waiting.has(member))) leave(bucket);
    };
    return { onFinal, buckets: leaving };
  }

  /** Sums the gradients of a step whose commands are under way, bucket by bucket as they come. */
  async add({ buckets }: Departures): Promise<void> {
    const arrivals: Promise<void>[] = [];
    for (const { places, copies, memory } of buckets) {
      await copies.read((bytes) => memory.set(bytes));
      const arrival = this.communicator
        .allReduceSum(memory, this.wire)
        .then(() => places.forEach((place, i) => this.put(place, memory.subarray(copies.offsets[i]))));
      // It may fail while another bucket is waited for; the last line throws it.
      arrival.catch(() => {});
      arrivals.push(arrival);
    }
    await Promise.all(arrivals);
  }

  dispose(): void {
    for (const sum of this.sums) sum.dispose();
    for (const { copies } of this.buckets) copies.dispose();
  }

  private bucketOf(place: number): Bucket | undefined {
    return this.buckets.find(({ places }) => places.includes(place));
  }

  private bucketOnceFull(places: readonly number[], isLast: boolean): Bucket | undefined {
    const sizes = places.map((place) => this.bytesOf(place));
    if (!isLast && sizes.reduce((sum, bytes) => sum + bytes, 0) < this.bucketBytes) return undefined;
    const copies = new HostCopies(sizes);
    const bucket = { places, copies, memory: this.communicator.allocate(copies.bytes) };
    this.buckets.push(bucket);
    return bucket;
  }

  private put(place: number, bytes: Uint8Array): void {
    assignBytes(this.sums[place]!, bytes.subarray(0, this.bytesOf(place)));
  }

  private bytesOf(place: number): number {
    const { size, dtype } = this.sums[place]!;
    return size * bytesPerElement[dtype];
  }
}
