import { type FileHandle, mkdir, open, readdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type EventContent, eventBytes, recordOf, type SummaryValue } from './event.ts';

const prefix = 'events.out.tfevents.';

/** Name of a new event file: readers take a folder's files in the order of their names, so its time is behind those that are there. */
async function nextName(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(prefix));
  const times = names.map((name) => Number.parseInt(name.slice(prefix.length), 10)).filter(Number.isFinite);
  const seconds = Math.max(Math.floor(Date.now() / 1000), 1 + Math.max(0, ...times));
  return `${prefix}${String(seconds).padStart(10, '0')}.${hostname()}.${process.pid}.star`;
}

/** A TensorBoard event file: a new one for each start of a run, as readers expect. Each event is in the file when its call resolves. */
export class EventFile {
  private readonly file: FileHandle;

  private constructor(file: FileHandle) {
    this.file = file;
  }

  /** Begins a file in a folder, which is made if need be. */
  static async create(folder: string): Promise<EventFile> {
    await mkdir(folder, { recursive: true });
    const events = new EventFile(await open(join(folder, await nextName(folder)), 'ax'));
    await events.append(0, { fileVersion: 'brain.Event:2' });
    return events;
  }

  /** Tells readers that the steps from this one on are done anew: they drop what files before have of them. */
  restart(step: number): Promise<void> {
    return this.append(step, { restart: true });
  }

  /** Adds what some tags show at a step. */
  add(step: number, values: readonly SummaryValue[]): Promise<void> {
    return this.append(step, { summary: values });
  }

  async close(): Promise<void> {
    await this.file.close();
  }

  private async append(step: number, content: EventContent): Promise<void> {
    await this.file.appendFile(recordOf(eventBytes({ wallTime: Date.now() / 1000, step, content })));
  }
}
