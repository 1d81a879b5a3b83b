/** Fields of a protocol-buffer message, in order; nested messages are bytes. */
export type Field = readonly [number: number, value: number | string | Uint8Array];

/** Unsigned base-128 digits, lowest first. */
function varint(value: number): number[] {
  const digits: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) digits.push((rest % 128) + 128);
  return [...digits, rest];
}

/** A message in wire format: whole numbers as varints, everything else length-delimited. */
export function message(fields: readonly Field[]): Uint8Array<ArrayBuffer> {
  return joined(
    fields.flatMap(([number, value]) => {
      if (typeof value === 'number') return [Uint8Array.from([...varint(number * 8), ...varint(value)])];
      const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
      return [Uint8Array.from([...varint(number * 8 + 2), ...varint(bytes.length)]), bytes];
    }),
  );
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
