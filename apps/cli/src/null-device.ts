import { createDevice, type Module, plan, setDevice, type Shape, withParameters } from '@star-webgpu/tensor-webgpu';
import { openGpu } from '@star-webgpu/tensor-webgpu/node';

/**
 * Runs a function on Dawn's null backend, which needs no GPU: models are made there to be asked for their names and shapes.
 * Dawn itself is kept until the process ends, as it may die where it is collected while others go on.
 */
export async function withNullDevice<T>(run: () => T | Promise<T>): Promise<T> {
  const { adapter } = await openGpu({ backend: 'null' });
  const device = await createDevice(adapter);
  setDevice(device);
  try {
    return await run();
  } finally {
    setDevice(undefined);
    device.destroy();
  }
}

/** A model that takes no memory: it is recorded, never filled. */
export const recorded = <T extends Module>(make: () => T): T =>
  plan(() => withParameters({ values: 'none' }, make)).result;

/** Names and shapes of a model's tensors. */
export const shapesOf = (model: Module): Map<string, Shape> =>
  new Map([...model.namedTensors()].map(([name, { shape }]) => [name, shape]));
