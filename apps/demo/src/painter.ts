import type { Command, DrawnScale, FailureReason, Loading, Order, Ready, Report } from './protocol.ts';

/** The worker cannot go on; `reason` says what a page should explain. */
export class PainterError extends Error {
  readonly reason: FailureReason;

  constructor(reason: FailureReason, message: string) {
    super(message);
    this.name = 'PainterError';
    this.reason = reason;
  }
}

/** The page's side of the worker: one picture at a time. */
export class Painter {
  private readonly worker: Worker;

  constructor(worker: Worker) {
    this.worker = worker;
  }

  /** Loads the model. @throws PainterError */
  open(onLoading: (loading: Loading) => void): Promise<Ready> {
    return this.ask({ kind: 'open' }, (report, resolve) => {
      if (report.kind === 'loading') onLoading(report);
      if (report.kind === 'ready') resolve(report);
    });
  }

  /** Draws a picture, scale by scale; true if it was finished, false if it was cancelled. @throws PainterError */
  draw(order: Order, onScale: (scale: DrawnScale) => void): Promise<boolean> {
    return this.ask({ kind: 'draw', order }, (report, resolve) => {
      if (report.kind === 'scale') onScale(report);
      if (report.kind === 'finished' || report.kind === 'cancelled') resolve(report.kind === 'finished');
    });
  }

  /** Stops the picture that is being drawn, behind its running scale. */
  cancel(): void {
    this.send({ kind: 'cancel' });
  }

  /** Ends the worker; the model goes with it. */
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
