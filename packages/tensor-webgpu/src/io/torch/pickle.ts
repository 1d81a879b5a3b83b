import { expectThat, shown, TorchFileError } from './errors.ts';
import { type CallContext, callGlobal, findGlobal, type PickleValue, setState } from './globals.ts';
import type { TorchValue } from './values.ts';

/** More bytes are needed than there are. */
export class PickleEndError extends TorchFileError {
  constructor() {
    super('pickle must have an end, got a file that stops inside. It is truncated; fetch it again.');
    this.name = 'PickleEndError';
  }
}

export interface PickleOptions extends Pick<CallContext, 'source'> {
  /** Gives what a persistent id of the file stands for. */
  readonly persistent: (id: PickleValue | undefined) => PickleValue;
  /** Where the pickle begins. */
  readonly start?: number;
}

/** Memo places and entries of one dictionary are bounded, as JavaScript's maps are. */
const mostEntries = 8_000_000;
/** Bytes of one whole number: far more than any that a checkpoint holds. */
const longestNumber = 64;
const longestLine = 1000;

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const latin1 = new TextDecoder('latin1');

/** A machine for the opcodes that plain values and tensors need. It builds maps and arrays; nothing is executed. */
class Machine {
  readonly options: PickleOptions;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly memo = new Map<number, PickleValue>();
  private readonly marks: number[] = [];
  private stack: PickleValue[] = [];
  private budget: number;
  at: number;

  constructor(bytes: Uint8Array, options: PickleOptions) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.options = options;
    this.at = options.start ?? 0;
    this.budget = 16 * bytes.byteLength;
  }

  /** Runs opcodes up to the end of the pickle. */
  run(): TorchValue {
    for (;;) {
      const place = this.at;
      const code = this.byte();
      if (code === stop) return this.pop() as TorchValue;
      const step = steps[code];
      if (!step)
        throw new TorchFileError(
          `opcode ${refusedNames[code] ?? `0x${code.toString(16)}`} at byte ${place} must be one of plain values and tensors. Nothing was run. Save the state_dict alone with torch.save.`,
        );
      step(this);
    }
  }

  spend(elements: number): void {
    this.budget -= elements;
    expectThat(this.budget >= 0, () => 'values must not be copied without end. The file is damaged; fetch it again.');
  }

  push(value: PickleValue): void {
    this.stack.push(value);
  }

  pop(): PickleValue {
    const floor = this.marks.at(-1) ?? 0;
    expectThat(
      this.stack.length > floor,
      () => `pickle must have a value at byte ${this.at}. The file is damaged; fetch it again.`,
    );
    return this.stack.pop()!;
  }

  top(): PickleValue {
    const value = this.pop();
    this.push(value);
    return value;
  }

  mark(): void {
    this.marks.push(this.stack.length);
  }

  /** Values since the last mark, off the stack. */
  popMark(): PickleValue[] {
    const from = this.marks.pop();
    expectThat(
      from !== undefined,
      () => `pickle must have a mark at byte ${this.at}. The file is damaged; fetch it again.`,
    );
    return this.stack.splice(from);
  }

  remember(place: number): void {
    expectThat(this.memo.size < mostEntries, () => `pickle must remember at most ${mostEntries} values.`);
    this.memo.set(place, this.top());
  }

  rememberNext(): void {
    this.remember(this.memo.size);
  }

  recall(place: number): void {
    expectThat(this.memo.has(place), () => `pickle must remember value ${place}. The file is damaged; fetch it again.`);
    this.push(this.memo.get(place)!);
  }

  tuple(count: number): void {
    this.push(Array.from({ length: count }, () => this.pop()).toReversed() as TorchValue[]);
  }

  append(items: readonly PickleValue[]): void {
    const list = this.top();
    expectThat(Array.isArray(list), () => 'pickle must append to a list. The file is damaged; fetch it again.');
    for (const item of items) (list as PickleValue[]).push(item);
  }

  setItems(items: readonly PickleValue[]): void {
    const map = this.top();
    const fits = map instanceof Map && items.length % 2 === 0 && map.size + items.length / 2 <= mostEntries;
    expectThat(
      fits,
      () => `pickle must put pairs into a dictionary of at most ${mostEntries}. The file is damaged; fetch it again.`,
    );
    for (let i = 0; i < items.length; i += 2) map.set(items[i] as TorchValue, items[i + 1] as TorchValue);
  }

  call(): void {
    const args = this.pop();
    this.push(callGlobal(this.pop(), args, this.context));
  }

  build(): void {
    const state = this.pop();
    setState(this.top(), state, this.context);
  }

  byte(): number {
    return this.bytes[this.take(1)]!;
  }

  uint16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  uint32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  int32(): number {
    return this.view.getInt32(this.take(4), true);
  }

  /** A length of 8 bytes; one beyond the file is found when it is used. */
  uint64(): number {
    return Number(this.view.getBigUint64(this.take(8), true));
  }

  /** Bytes of the file, as a view. */
  data(length: number): Uint8Array {
    const from = this.take(length);
    return this.bytes.subarray(from, from + length);
  }

  text(length: number): string {
    return utf8.decode(this.data(length));
  }

  latin1(length: number): string {
    return latin1.decode(this.data(length));
  }

  float(): number {
    return this.view.getFloat64(this.take(8), false);
  }

  /** A little-endian number in two's complement: a plain number where that is exact. */
  long(length: number): number | bigint {
    expectThat(length <= longestNumber, () => `whole numbers must have at most ${longestNumber} bytes, got ${length}.`);
    const value = this.data(length).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    return plain(BigInt.asIntN(8 * length, value));
  }

  /** The text up to the end of a line. */
  line(): string {
    const end = this.bytes.subarray(this.at, this.at + longestLine).indexOf(0x0a);
    if (end < 0 && this.at + longestLine > this.bytes.length) throw new PickleEndError();
    expectThat(end >= 0, () => `lines must have at most ${longestLine} bytes, got a longer one at byte ${this.at}.`);
    const text = this.text(end);
    this.at++;
    return text;
  }

  /** A number as a line of text. */
  decimal(): number | bigint | boolean {
    const text = this.line().replace(/L$/, '');
    if (text === '00' || text === '01') return text === '01';
    expectThat(/^-?\d{1,100}$/.test(text), () => `whole number must have digits, got ${shown(text)}.`);
    return plain(BigInt(text));
  }

  private get context(): CallContext {
    return { source: this.options.source, spend: (elements) => this.spend(elements) };
  }

  /** Goes on by some bytes and gives where they begin. */
  private take(length: number): number {
    const from = this.at;
    if (from + length > this.bytes.length) throw new PickleEndError();
    this.at = from + length;
    return from;
  }
}

const plain = (value: bigint): number | bigint =>
  BigInt(Number(value)) === value && Number.isSafeInteger(Number(value)) ? Number(value) : value;

const stop = 0x2e;

const asString = (value: PickleValue): string => {
  if (typeof value === 'string') return value;
  throw new TorchFileError(
    `global must have a name of text, got ${shown(value)}. The file is damaged; fetch it again.`,
  );
};

const lineGlobal = (machine: Machine): void => {
  const module = machine.line();
  machine.push(findGlobal(module, machine.line()));
};

const stackGlobal = (machine: Machine): void => {
  const name = asString(machine.pop());
  machine.push(findGlobal(asString(machine.pop()), name));
};

const dictionary = (machine: Machine): void => {
  const items = machine.popMark();
  machine.push(new Map());
  machine.setItems(items);
};

const pair = (machine: Machine): void => {
  const value = machine.pop();
  const key = machine.pop();
  machine.setItems([key, value]);
};

/** What each opcode does, by its byte (Python's pickletools lists them). */
const steps: Readonly<Record<number, (machine: Machine) => void>> = {
  // protocol, frame, mark, pop, pop to mark, duplicate
  0x80: (m) => void m.byte(),
  0x95: (m) => void m.uint64(),
  0x28: (m) => m.mark(),
  0x30: (m) => void m.pop(),
  0x31: (m) => void m.popMark(),
  0x32: (m) => m.push(m.top()),
  // none, true, false, whole numbers, floats
  0x4e: (m) => m.push(null),
  0x88: (m) => m.push(true),
  0x89: (m) => m.push(false),
  0x49: (m) => m.push(m.decimal()),
  0x4c: (m) => m.push(m.decimal()),
  0x4b: (m) => m.push(m.byte()),
  0x4d: (m) => m.push(m.uint16()),
  0x4a: (m) => m.push(m.int32()),
  0x8a: (m) => m.push(m.long(m.byte())),
  0x8b: (m) => m.push(m.long(m.uint32())),
  0x47: (m) => m.push(m.float()),
  0x46: (m) => m.push(Number(m.line())),
  // texts and bytes
  0x58: (m) => m.push(m.text(m.uint32())),
  0x8c: (m) => m.push(m.text(m.byte())),
  0x8d: (m) => m.push(m.text(m.uint64())),
  0x55: (m) => m.push(m.latin1(m.byte())),
  0x54: (m) => m.push(m.latin1(m.uint32())),
  0x43: (m) => m.push(m.data(m.byte())),
  0x42: (m) => m.push(m.data(m.uint32())),
  0x8e: (m) => m.push(m.data(m.uint64())),
  0x96: (m) => m.push(m.data(m.uint64())),
  // tuples, lists, sets
  0x29: (m) => m.push([]),
  0x85: (m) => m.tuple(1),
  0x86: (m) => m.tuple(2),
  0x87: (m) => m.tuple(3),
  0x74: (m) => m.push(m.popMark() as TorchValue[]),
  0x5d: (m) => m.push([]),
  0x6c: (m) => m.push(m.popMark() as TorchValue[]),
  0x61: (m) => m.append([m.pop()]),
  0x65: (m) => m.append(m.popMark()),
  0x8f: (m) => m.push([]),
  0x90: (m) => m.append(m.popMark()),
  0x91: (m) => m.push(m.popMark() as TorchValue[]),
  // dictionaries
  0x7d: (m) => m.push(new Map()),
  0x64: dictionary,
  0x73: pair,
  0x75: (m) => m.setItems(m.popMark()),
  // memo
  0x68: (m) => m.recall(m.byte()),
  0x6a: (m) => m.recall(m.uint32()),
  0x71: (m) => m.remember(m.byte()),
  0x72: (m) => m.remember(m.uint32()),
  0x94: (m) => m.rememberNext(),
  // types, calls, attributes, storages
  0x63: lineGlobal,
  0x93: stackGlobal,
  0x52: (m) => m.call(),
  0x81: (m) => m.call(),
  0x62: (m) => m.build(),
  0x51: (m) => m.push(m.options.persistent(m.pop())),
};

const refusedNames: Readonly<Record<number, string>> = {
  0x69: 'INST',
  0x6f: 'OBJ',
  0x50: 'PERSID',
  0x53: 'STRING',
  0x56: 'UNICODE',
  0x67: 'GET',
  0x70: 'PUT',
  0x82: 'EXT1',
  0x83: 'EXT2',
  0x84: 'EXT4',
  0x92: 'NEWOBJ_EX',
  0x97: 'NEXT_BUFFER',
  0x98: 'READONLY_BUFFER',
};

/** Reads one pickle and says where it ends. @throws TorchFileError for anything but plain values and tensors; PickleEndError where bytes are missing */
export function readPickle(bytes: Uint8Array, options: PickleOptions): { value: TorchValue; end: number } {
  const machine = new Machine(bytes, options);
  const value = machine.run();
  return { value, end: machine.at };
}
