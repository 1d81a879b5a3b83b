import { createDevice, type Device, setDevice } from '@star-webgpu/tensor-webgpu';
import { openGpu, throttledWait } from '@star-webgpu/tensor-webgpu/node';

/** A device in use, what it runs on, and how to let go of it. */
export interface Session {
  readonly device: Device;
  readonly kind: string;
  readonly description: string;
  close(): void;
}

/** Opens the best adapter, or the one asked for, and makes it current. */
export async function openSession(adapter?: string): Promise<Session> {
  const opened = await openGpu(adapter ? { adapter } : {});
  const device = await createDevice(opened.adapter, { wait: throttledWait });
  setDevice(device);
  const close = (): void => {
    setDevice(undefined);
    device.destroy();
    opened.close();
  };
  return { device, kind: opened.kind, description: opened.description, close };
}
