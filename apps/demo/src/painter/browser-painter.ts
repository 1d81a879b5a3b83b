import { type Loading, type ModelFolder, type Order, type Painter, type Progress } from './painter.ts';
import { PainterError, type Ready, type Redrawing, type WordMap } from './painter.ts';
import type { Command, Report } from './protocol.ts';

/** Draws in this browser: the page's side of a worker that holds the model. */
export class BrowserPainter implements Painter {
  private readonly worker: Worker;
  private readonly folder: ModelFolder | undefined;

  /** With the model of a folder, or with the one that the site brings along. */
  constructor(folder?: ModelFolder) {
    this.worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    this.folder = folder;
  }

  open(onLoading: (loading: Loading) => void): Promise<Ready> {
    return this.ask({ kind: 'open', ...(this.folder && { folder: this.folder }) }, (report, resolve) => {
      if (report.kind === 'loading') onLoading(report);
      if (report.kind === 'ready') resolve(report);
    });
  }

  draw(order: Order, { onScale }: Progress, redrawing?: Redrawing): Promise<readonly WordMap[] | undefined> {
    return this.ask({ kind: 'draw', order, ...(redrawing && { redrawing }) }, (report, resolve) => {
      if (report.kind === 'scale') onScale(report);
      if (report.kind === 'finished') resolve(report.words);
      if (report.kind === 'cancelled') resolve(undefined);
    });
  }

  cancel(): void {
    this.send({ kind: 'cancel' });
  }

  close(): void {
    this.worker.terminate();
  }

  private send(command: Command): void {
    this.worker.postMessage(command);
  }

  private ask<T>(command: Command, answer: (report: Report, resolve: (value: T) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.worker.onmessage = ({ data }: MessageEvent<Report>): void => {
        if (data.kind === 'failed') reject(new PainterError(data.reason, data.message));
        else answer(data, resolve);
      };
      this.worker.onerror = ({ message }): void =>
        reject(new PainterError('drawing', message || 'the worker could not start'));
      this.send(command);
    });
  }
}
