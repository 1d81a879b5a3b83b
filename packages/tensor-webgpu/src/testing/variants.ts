import { afterAll, beforeAll, describe } from 'vitest';
import type { Device } from '../device/device.ts';
import { testDevice } from './test-device.ts';

/** Runs a suite twice: by the kernels that the adapter deserves, and by the plain ones that need no feature. */
export function describeVariants(name: string, suite: (device: () => Device) => void): void {
  describe.each(['fast', 'plain'] as const)(`${name}, %s kernels`, (variant) => {
    let device: Device;
    const setPlain = (plain: boolean): void => void Object.assign(device, { plainKernels: plain });
    beforeAll(async () => {
      device = await testDevice();
      setPlain(variant === 'plain');
    });
    afterAll(() => setPlain(false));
    suite(() => device);
  });
}

/** Runs a suite twice: with half floats as the adapter has them, and with halves packed two to a word, as where it has none. */
export function describeHalves(name: string, suite: (device: () => Device) => void): void {
  describe.each(['own', 'packed'] as const)(`${name}, %s halves`, (variant) => {
    let device: Device;
    let usual: Device['profile'];
    beforeAll(async () => {
      device = await testDevice();
      usual = device.profile;
      if (variant === 'packed') Object.assign(device, { profile: { ...usual, f16: false } });
    });
    afterAll(() => void Object.assign(device, { profile: usual }));
    suite(() => device);
  });
}
