import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import protobuf from 'protobufjs';

/** The messages of an event file, as tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto have them. */
const schema = `
  syntax = "proto3";
  message SessionLog {
    enum SessionStatus { STATUS_UNSPECIFIED = 0; START = 1; STOP = 2; CHECKPOINT = 3; }
    SessionStatus status = 1; string checkpoint_path = 2; string msg = 3;
  }
  message HistogramProto {
    double min = 1; double max = 2; double num = 3; double sum = 4; double sum_squares = 5;
    repeated double bucket_limit = 6 [packed = true]; repeated double bucket = 7 [packed = true];
  }
  message Summary {
    message Image { int32 height = 1; int32 width = 2; int32 colorspace = 3; bytes encoded_image_string = 4; }
    message Value {
      string node_name = 7; string tag = 1;
      oneof value { float simple_value = 2; bytes obsolete_old_style_histogram = 3; Image image = 4; HistogramProto histo = 5; }
    }
    repeated Value value = 1;
  }
  message Event {
    double wall_time = 1; int64 step = 2;
    oneof what { string file_version = 3; bytes graph_def = 4; Summary summary = 5; SessionLog session_log = 7; }
  }`;

const eventType = protobuf.parse(schema, { keepCase: true }).root.lookupType('Event');

/** A message of an event file. */
export interface ReadEvent {
  readonly wall_time: number;
  readonly step: number;
  readonly file_version?: string;
  readonly session_log?: { readonly status: string };
  readonly summary?: { readonly value: readonly ReadValue[] };
}

interface ReadValue {
  readonly tag: string;
  readonly simple_value?: number;
  readonly image?: {
    readonly height: number;
    readonly width: number;
    readonly colorspace: number;
    readonly encoded_image_string: Uint8Array;
  };
  readonly histo?: {
    readonly min: number;
    readonly max: number;
    readonly num: number;
    readonly sum: number;
    readonly sum_squares: number;
    readonly bucket_limit: readonly number[];
    readonly bucket: readonly number[];
  };
}

/** Undoes the masking of a checksum, by the inverse of record_writer's formula. */
const unmasked = (masked: number): number => {
  const turned = (masked - 0xa282ead8) >>> 0;
  return ((turned >>> 17) | (turned << 15)) >>> 0;
};

function checkSum(bytes: Uint8Array, masked: number): void {
  const [own, stored] = [crc32c(Buffer.from(bytes)), unmasked(masked)];
  if (own !== stored) throw new Error(`record must have checksum ${own}, got ${stored}`);
}

/** Events of a file; a record that was cut at the end is where reading stops. @throws Error for a checksum that is not that of its bytes. */
export function eventsOf(bytes: Buffer): ReadEvent[] {
  const events: ReadEvent[] = [];
  let at = 0;
  while (at + 12 <= bytes.length) {
    const length = Number(bytes.readBigUInt64LE(at));
    checkSum(bytes.subarray(at, at + 8), bytes.readUInt32LE(at + 8));
    const end = at + 12 + length;
    if (end + 4 > bytes.length) break;
    const data = bytes.subarray(at + 12, end);
    checkSum(data, bytes.readUInt32LE(end));
    const options = { longs: Number, enums: String };
    events.push(eventType.toObject(eventType.decode(data), options) as ReadEvent);
    at = end + 4;
  }
  return events;
}

/** Values of a tag over the steps. */
export interface ReadSeries {
  readonly step: number;
  readonly value: ReadValue;
}

/**
 * What TensorBoard shows of a run's folder, by tag: its files one after the other in the order of their names; where a session starts, what
 * was read of its step and later ones is dropped, as event_accumulator does from file version 2 on.
 */
export async function readRun(folder: string): Promise<Map<string, ReadSeries[]>> {
  const series = new Map<string, ReadSeries[]>();
  const names = (await readdir(folder)).filter((name) => name.includes('tfevents')).toSorted();
  for (const name of names) {
    const [version, ...events] = eventsOf(await readFile(join(folder, name)));
    if (version?.file_version !== 'brain.Event:2') throw new Error(`${name} must begin with its version`);
    for (const { step = 0, session_log, summary } of events) {
      if (session_log?.status === 'START')
        for (const [tag, points] of series)
          series.set(
            tag,
            points.filter((point) => point.step < step),
          );
      for (const value of summary?.value ?? [])
        series.set(value.tag, [...(series.get(value.tag) ?? []), { step, value }]);
    }
  }
  return series;
}
