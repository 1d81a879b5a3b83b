import { PbfWriter } from 'pbf';
import { maskedCrc32c } from './crc32c.ts';
import type { Histogram } from './histogram.ts';

/** A picture as PNG bytes. */
export interface EncodedPicture {
  readonly png: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** What a tag shows at a step. */
export type SummaryValue =
  | { readonly tag: string; readonly scalar: number }
  | { readonly tag: string; readonly picture: EncodedPicture }
  | { readonly tag: string; readonly histogram: Histogram };

/** What one record of an event file says. */
export type EventContent =
  | { readonly fileVersion: string }
  /** Steps from this one on are done anew: readers drop what they have of them. */
  | { readonly restart: true }
  | { readonly summary: readonly SummaryValue[] };

export interface TrainingEvent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step: number;
  readonly content: EventContent;
}

// Field numbers are those of TensorFlow's event.proto, summary.proto and histogram.proto.

function writePicture({ png, width, height }: EncodedPicture, to: PbfWriter): void {
  const rgb = 3;
  to.writeVarintField(1, height);
  to.writeVarintField(2, width);
  to.writeVarintField(3, rgb);
  to.writeBytesField(4, png);
}

function writeHistogram({ min, max, count, sum, sumOfSquares, limits, counts }: Histogram, to: PbfWriter): void {
  [min, max, count, sum, sumOfSquares].forEach((value, i) => to.writeDoubleField(i + 1, value));
  to.writePackedDouble(6, [...limits]);
  to.writePackedDouble(7, [...counts]);
}

function writeValue(value: SummaryValue, to: PbfWriter): void {
  to.writeStringField(1, value.tag);
  if ('scalar' in value) to.writeFloatField(2, value.scalar);
  else if ('picture' in value) to.writeMessage(4, writePicture, value.picture);
  else to.writeMessage(5, writeHistogram, value.histogram);
}

function writeSummary(values: readonly SummaryValue[], to: PbfWriter): void {
  for (const value of values) to.writeMessage(1, writeValue, value);
}

function writeSessionStart(_: unknown, to: PbfWriter): void {
  const start = 1;
  to.writeVarintField(1, start);
}

/** An event as protocol buffers. */
export function eventBytes({ wallTime, step, content }: TrainingEvent): Uint8Array {
  const to = new PbfWriter();
  to.writeDoubleField(1, wallTime);
  to.writeVarintField(2, step);
  if ('fileVersion' in content) to.writeStringField(3, content.fileVersion);
  else if ('restart' in content) to.writeMessage(7, writeSessionStart, undefined);
  else to.writeMessage(5, writeSummary, content.summary);
  return to.finish();
}

/** Bytes as a record of a TFRecord file: length, checksum of the length, bytes, checksum of the bytes. */
export function recordOf(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(data.length + 16);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc32c(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc32c(data), true);
  return record;
}
