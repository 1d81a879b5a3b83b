import { afterAll } from 'vitest';
import { currentDevice, setDevice } from '../device/current.ts';
import { createDevice, type Device } from '../device/device.ts';
import { openGpu, throttledWait } from '../device/node.ts';

let opened: Promise<{ device: Device; close: () => void }> | undefined;

async function open(): Promise<{ device: Device; close: () => void }> {
  const { adapter, close } = await openGpu();
  const device = await createDevice(adapter, { wait: throttledWait });
  setDevice(device);
  return { device, close };
}

/** The device that all tests of a file share; a missing adapter fails the test. It is closed when the file is done. */
export async function testDevice(): Promise<Device> {
  if (!opened) {
    opened = open();
    afterAll(closeDevice);
  }
  await opened;
  return currentDevice();
}

async function closeDevice(): Promise<void> {
  const { device, close } = await opened!;
  opened = undefined;
  await device.idle();
  device.destroy();
  close();
  setDevice(undefined);
}
