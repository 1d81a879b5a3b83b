/** Height and width in pixels. */
export interface PictureSize {
  height: number;
  width: number;
}

/** Pictures that are loaded at one size. */
export interface Bucket {
  size: PictureSize;
  /** Indices of its pictures, rising. */
  members: readonly number[];
}

/** Width to height as a logarithm, so that a ratio and its inverse are equally far from a square. */
const slimness = ({ height, width }: PictureSize): number => Math.log(width / height);

/** Index of the size whose ratio is nearest to a picture's; the first of those that are equally near. */
export function nearestSize(picture: PictureSize, sizes: readonly PictureSize[]): number {
  const distances = sizes.map((size) => Math.abs(slimness(size) - slimness(picture)));
  return distances.indexOf(Math.min(...distances));
}

/** Sorts pictures, given by their own sizes, into one bucket a size to load them at. */
export function sortIntoBuckets(pictures: Iterable<PictureSize>, sizes: readonly PictureSize[]): Bucket[] {
  const members = sizes.map((): number[] => []);
  let index = 0;
  for (const picture of pictures) (members[nearestSize(picture, sizes)] as number[]).push(index++);
  return sizes.map((size, i) => ({ size, members: members[i] as number[] }));
}
