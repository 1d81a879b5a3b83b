type Cell = string | number | undefined;

/** A number for readers: integers whole, others to four digits, tiny ones as 1.234e-6. */
export function formatNumber(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-4) return value.toExponential(3);
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}

const formatCell = (value: Cell): string =>
  (typeof value === 'number' ? formatNumber(value) : (value ?? '')).replaceAll('|', '\\|').replaceAll('\n', ' ');

/** Rows as a Markdown table; the columns are the fields of all rows in their order, numbers to the right. */
export function markdownTable(rows: readonly Readonly<Record<string, Cell>>[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const isNumeric = (column: string): boolean => rows.every((row) => typeof (row[column] ?? 0) === 'number');
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(columns),
    line(columns.map((column) => (isNumeric(column) ? '---:' : '---'))),
    ...rows.map((row) => line(columns.map((column) => formatCell(row[column])))),
  ].join('\n');
}

/** A report as JSON; numbers that JSON does not have (infinite, NaN) become their names. */
export function jsonReport(report: unknown): string {
  const named = (_: string, value: unknown): unknown =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
  return `${JSON.stringify(report, named, 2)}\n`;
}
