import { expect, it } from 'vitest';
import { runReadmeExample } from '../../../tools/readme-example.ts';

it('the example of the README runs', async () => {
  await expect(runReadmeExample(new URL('../', import.meta.url))).resolves.toBeUndefined();
});
