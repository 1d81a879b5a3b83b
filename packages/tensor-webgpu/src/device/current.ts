import { TensorError } from '../errors.ts';
import type { Device } from './device.ts';

let current: Device | undefined;

/** Makes a device the one that new tensors and ops use. */
export function setDevice(device: Device | undefined): void {
  current = device;
}

/** The device in use. @throws TensorError if none was set. */
export function currentDevice(): Device {
  if (!current) throw new TensorError('device', 'no device is set. Call setDevice(await createDevice(adapter)) first.');
  return current;
}
