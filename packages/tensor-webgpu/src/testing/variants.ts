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
