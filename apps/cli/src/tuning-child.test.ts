import { describe, expect, it } from 'vitest';
import { runChild } from './tuning-child.ts';

describe('a child that tries a plan', () => {
  it('is content with a process that ends well', async () => {
    await runChild(['-e', '']);
  });

  it('tells of one that dies, hangs or fails', async () => {
    await expect(runChild(['-e', 'process.abort()'])).rejects.toThrow('its process died of SIGABRT');
    await expect(runChild(['-e', 'setInterval(() => {}, 1000)'], 500)).rejects.toThrow('its process hung for 0.5 s');
    await expect(runChild(['-e', 'console.error("no such unit"); process.exit(1)'])).rejects.toThrow('no such unit');
    await expect(runChild(['-e', 'process.exit(3)'])).rejects.toThrow('its process ended with code 3');
  });
});
