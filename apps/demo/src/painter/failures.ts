import { ModelFolderError, ModelsError } from '@star-webgpu/sampler';
import { DeviceLostError, GpuError } from '@star-webgpu/tensor-webgpu';
import { type FailureReason, PainterError } from './painter.ts';

/** What a page is told of an error. */
export interface Failure {
  readonly reason: FailureReason;
  readonly message: string;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What went wrong, in one of the words that the page explains. */
export const failureOf = (error: unknown): Failure => ({ reason: reasonOf(error), message: messageOf(error) });

function reasonOf(error: unknown): FailureReason {
  if (error instanceof PainterError) return error.reason;
  if (isWantOfMemory(error)) return 'memory';
  return error instanceof ModelFolderError || error instanceof ModelsError ? 'model' : 'drawing';
}

/** True where the adapter or the browser has too little memory; engines differ in how they say so. */
function isWantOfMemory(error: unknown): boolean {
  if (error instanceof ModelFolderError) return isWantOfMemory(error.cause);
  if (error instanceof DeviceLostError) return true;
  if (error instanceof GpuError && error.kind === 'out-of-memory') return true;
  return /out of memory|allocation (of \S+ )?failed|max buffer size|larger (buffers|bindings)/i.test(messageOf(error));
}
