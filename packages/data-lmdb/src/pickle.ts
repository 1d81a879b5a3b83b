/** Opcodes that a pickled text or bytes object is made of (Python's pickletools), each with what follows it. */
const OPCODES = {
  0x80: { name: 'PROTO', skip: 1 },
  0x95: { name: 'FRAME', skip: 8 },
  0x94: { name: 'MEMOIZE', skip: 0 },
  0x71: { name: 'BINPUT', skip: 1 },
  0x72: { name: 'LONG_BINPUT', skip: 4 },
  0x8c: { name: 'SHORT_BINUNICODE', text: true, sizeBytes: 1 },
  0x58: { name: 'BINUNICODE', text: true, sizeBytes: 4 },
  0x8d: { name: 'BINUNICODE8', text: true, sizeBytes: 8 },
  0x43: { name: 'SHORT_BINBYTES', text: false, sizeBytes: 1 },
  0x42: { name: 'BINBYTES', text: false, sizeBytes: 4 },
  0x8e: { name: 'BINBYTES8', text: false, sizeBytes: 8 },
} as const;

type Opcode = (typeof OPCODES)[keyof typeof OPCODES];

const STOP = 0x2e;

/**
 * The text or bytes that Python pickled (protocol 2 to 5). Anything else a pickle could hold, code above all, is refused by its opcode;
 * nothing is ever run, and nothing larger than the input is made. Bytes are a view of the input.
 */
export function unpickle(bytes: Uint8Array): string | Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let value: string | Uint8Array | undefined;
  for (let at = 0; at < bytes.length;) {
    const code = bytes[at] as number;
    if (code === STOP && value !== undefined) return value;
    const opcode = (OPCODES as Readonly<Record<number, Opcode>>)[code];
    if (opcode === undefined || (value !== undefined && 'text' in opcode)) throw refusal(code, at);
    const operand = at + 1;
    if ('skip' in opcode) {
      at = operand + opcode.skip;
      continue;
    }
    const length = sizeAt(view, operand, opcode.sizeBytes);
    const start = operand + opcode.sizeBytes;
    if (start + length > bytes.length) throw new Error(`a pickle of ${bytes.length} bytes that is cut short`);
    const content = bytes.subarray(start, start + length);
    value = opcode.text ? new TextDecoder('utf-8', { fatal: true }).decode(content) : content;
    at = start + length;
  }
  throw new Error(`a pickle of ${bytes.length} bytes that is cut short`);
}

function sizeAt(view: DataView, offset: number, bytes: 1 | 4 | 8): number {
  if (offset + bytes > view.byteLength) throw new Error(`a pickle of ${view.byteLength} bytes that is cut short`);
  if (bytes === 1) return view.getUint8(offset);
  return bytes === 4 ? view.getUint32(offset, true) : Number(view.getBigUint64(offset, true));
}

const refusal = (code: number, at: number): Error =>
  new Error(
    `a pickle of more than one text or bytes object: opcode 0x${code.toString(16).padStart(2, '0')} at byte ${at}`,
  );
