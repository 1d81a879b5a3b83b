import { createDevice, type Device, setDevice } from '@star-webgpu/tensor-webgpu';
import { openGpu, throttledWait } from '@star-webgpu/tensor-webgpu/node';
import { reportProfile } from './profile.ts';
import { loadTuning } from './tuning.ts';

/** A device in use, what it runs on, and how to let go of it. */
export interface Session {
  readonly device: Device;
  readonly kind: string;
  readonly description: string;
  /** Ends the device; with STAR_PROFILE set it first prints where its time went. */
  close(): Promise<void>;
}

/** File of the trace: STAR_PROFILE=1 takes the default, another value names it. */
const traceFile = (): string | undefined => {
  const asked = process.env['STAR_PROFILE'];
  return asked && asked !== '0' ? (asked === '1' ? 'star-profile.json' : asked) : undefined;
};

/** Opens the best adapter, or the one asked for, and makes it current. */
export async function openSession(adapter?: string): Promise<Session> {
  const opened = await openGpu(adapter ? { adapter } : {});
  const device = await createDevice(opened.adapter, { wait: throttledWait });
  setDevice(device);
  await loadTuning(device);
  const trace = traceFile();
  if (trace) device.startProfile();
  const close = async (): Promise<void> => {
    if (trace) await reportProfile(device, trace);
    setDevice(undefined);
    device.destroy();
    opened.close();
  };
  return { device, kind: opened.kind, description: opened.description, close };
}
