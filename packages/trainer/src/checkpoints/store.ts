import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { WriteThread } from '../write-thread.ts';
import { clearLeftovers, pointLink, removeFolders, replaceFolder, syncFolder } from './files.ts';
import { type Checkpoint, checkpointNames, latestCheckpoint, readState } from './open.ts';
import { bestOf, dispensable, type Retention } from './retention.ts';
import type { TrainingState } from './state.ts';
import { type CheckpointContent, nameOf, writeCheckpoint } from './write.ts';

/** The checkpoints of a run: written one at a time while the run goes on, and rotated. */
export class CheckpointStore {
  private readonly root: string;
  private readonly retention: Retention;
  private readonly thread = new WriteThread();
  private writing: Promise<void> | undefined;
  private failure: Error | undefined;

  constructor(root: string, retention: Retention) {
    this.root = root;
    this.retention = retention;
  }

  /** Makes the folder, and removes what killed writers left in it. */
  async open(): Promise<void> {
    const made = await mkdir(this.root, { recursive: true });
    if (made) await syncFolder(dirname(made));
    await clearLeftovers(this.root);
  }

  /** The newest whole checkpoint that is accepted. */
  latest(
    onBroken: (folder: string, reason: string) => void,
    accept?: (state: TrainingState) => boolean,
  ): Promise<Checkpoint | undefined> {
    return latestCheckpoint(this.root, onBroken, accept);
  }

  /** Begins to write a checkpoint. One at a time: `finish` comes before. */
  begin(step: number, content: Promise<CheckpointContent>): void {
    this.writing = this.write(content).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      this.failure = new Error(
        `train: the checkpoint of step ${step} could not be written into ${this.root}: ${reason}. The ones before it are whole; mend the cause and run the same command again.`,
      );
    });
  }

  /** Waits for the checkpoint that is being written. @throws Error if it could not be written */
  async finish(): Promise<void> {
    await this.writing;
    this.check();
  }

  /** @throws Error if the last checkpoint could not be written */
  check(): void {
    if (this.failure) throw this.failure;
  }

  /** Removes the checkpoints behind a step. */
  async dropAfter(step: number): Promise<void> {
    await removeFolders(this.root, await this.namesAfter(step));
  }

  /** Takes the checkpoints behind a step, which are broken, out of the rotation. */
  async setAsideAfter(step: number): Promise<void> {
    for (const name of await this.namesAfter(step))
      await replaceFolder(join(this.root, name), join(this.root, `broken-${name}`));
  }

  private async namesAfter(step: number): Promise<string[]> {
    return (await checkpointNames(this.root)).filter((name) => name > nameOf(step));
  }

  /** Waits for what is being written, whatever comes of it, and ends. */
  async close(): Promise<void> {
    await this.writing;
    await this.thread.close();
  }

  private async write(content: Promise<CheckpointContent>): Promise<void> {
    await writeCheckpoint(this.root, await content, (path, pieces) => this.thread.write(path, pieces));
    await this.rotate();
  }

  /** Removes what need not stay, and points `last` and `best` at what they say. */
  private async rotate(): Promise<void> {
    const { root, retention } = this;
    const states: TrainingState[] = [];
    for (const name of await checkpointNames(root)) {
      const state = await readState(join(root, name)).catch(() => undefined);
      if (state) states.push(state);
    }
    await pointLink(join(root, 'last'), nameOf(states[0]!.step));
    const best = retention.best && bestOf(states, retention.best);
    if (best) await pointLink(join(root, 'best'), nameOf(best.step));
    await removeFolders(root, dispensable(states, retention).map(nameOf));
  }
}
