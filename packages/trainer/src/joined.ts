/** One array of all rows, in order. */
export function joined<T extends Uint32Array | Float32Array>(type: new (length: number) => T, rows: readonly T[]): T {
  const all = new type(rows.reduce((length, row) => length + row.length, 0));
  let at = 0;
  for (const row of rows) {
    all.set(row, at);
    at += row.length;
  }
  return all;
}
