// Runs commands of `star` one after the other, from the root of the repository, and stops at the first that fails.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

export function runSteps(steps) {
  for (const args of steps) {
    console.error(`star ${args.join(' ')}`);
    const command = [join(root, 'tools/bootstrap.mjs'), 'star', ...args];
    const { status } = spawnSync(process.execPath, command, { cwd: root, stdio: 'inherit' });
    if (status !== 0) process.exit(status ?? 1);
  }
}
