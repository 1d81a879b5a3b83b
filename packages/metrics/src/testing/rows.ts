/** Consecutive rows of a row-major array. */
export function rowsOf<T extends Float32Array | Float64Array>(values: T, columns: number): T[] {
  return Array.from(
    { length: values.length / columns },
    (_, i) => values.subarray(i * columns, (i + 1) * columns) as T,
  );
}
