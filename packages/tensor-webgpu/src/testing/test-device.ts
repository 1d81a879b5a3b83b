import { afterAll } from 'vitest';
import type { MemoryLimits } from '../device/buffer-pool.ts';
import { currentDevice, setDevice } from '../device/current.ts';
import { createDevice, type Device } from '../device/device.ts';
import { openGpu, throttledWait } from '../device/node.ts';

interface TestGpu {
  readonly device: Device;
  readonly gpu: GPU;
  readonly close: () => void;
}

let opened: Promise<TestGpu> | undefined;

async function open(): Promise<TestGpu> {
  const { gpu, adapter, close } = await openGpu();
  const device = await createDevice(adapter, { wait: throttledWait });
  setDevice(device);
  return { device, gpu, close };
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

/** Runs something on a device of its own that makes do with smaller limits; what it gives must not be on that device. */
export async function withLimits<T>(limits: MemoryLimits, run: () => Promise<T>): Promise<T> {
  const before = await testDevice();
  // Dawn gives one device an adapter, and its entry point must outlive them all.
  const adapter = await (await opened!).gpu.requestAdapter();
  const device = await createDevice(adapter!, { wait: throttledWait, limits });
  setDevice(device);
  try {
    return await run();
  } finally {
    await device.idle();
    setDevice(before);
    device.destroy();
  }
}

async function closeDevice(): Promise<void> {
  const { device, close } = await opened!;
  opened = undefined;
  await device.idle();
  device.destroy();
  close();
  setDevice(undefined);
}
