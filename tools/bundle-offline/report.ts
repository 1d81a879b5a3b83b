/** A line of the table; sizes in bytes. */
export interface Row {
  readonly name: string;
  readonly packed: number;
  readonly unpacked: number;
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(2);

/** The parts with their sizes and the total, as aligned text. */
export function tableOf(rows: readonly Row[]): string {
  const total = rows.reduce((sum, { packed, unpacked }) => ({
    name: 'total',
    packed: sum.packed + packed,
    unpacked: sum.unpacked + unpacked,
  }));
  const cells = [...rows, { ...total, name: 'total' }].map(({ name, packed, unpacked }) => [
    name,
    megabytes(packed),
    megabytes(unpacked),
  ]);
  const lines = [['part', 'packed MB', 'unpacked MB'], ...cells];
  const width = Math.max(...lines.map(([name]) => name!.length));
  return lines
    .map(([name, packed, unpacked]) => `${name!.padEnd(width)}  ${packed!.padStart(9)}  ${unpacked!.padStart(11)}`)
    .join('\n');
}

/** Refuses a bundle that is too large; limit in MB of 1,000,000 bytes. */
export function checkLimit(rows: readonly Row[], limit: number): void {
  const packed = rows.reduce((sum, row) => sum + row.packed, 0);
  if (packed < limit * 1e6) return;
  throw new Error(
    `bundle-offline: the bundle must be smaller than ${limit} MB, got ${megabytes(packed)} MB. ` +
      'Use --compression xz, a smaller Node, or a larger --limit.',
  );
}
