import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Checks every package as it would be published: publint on the folder, attw on the tarball.
const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name: string): string => join(root, 'node_modules/.bin', name);
const temporary = mkdtempSync(join(tmpdir(), 'star-packages-'));
let failures = 0;

/** Runs a check; prints what it said if it failed. */
function check(name: string, program: string, args: readonly string[], cwd: string): void {
  try {
    execFileSync(program, args, { cwd, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    failures++;
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    console.error(`${name} failed:\n${stdout}${stderr}`);
  }
}

for (const name of readdirSync(join(root, 'packages'))) {
  const folder = join(root, 'packages', name);
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  check(`publint ${name}`, bin('publint'), ['--strict', '--pack', 'npm'], folder);
  check(`pack ${name}`, 'npm', ['pack', '--silent', '--pack-destination', temporary], folder);
  check(
    `attw ${name}`,
    bin('attw'),
    [join(temporary, `star-webgpu-${name}-${version}.tgz`), '--profile', 'esm-only', '--quiet'],
    folder,
  );
}
rmSync(temporary, { recursive: true, force: true });
process.exit(failures ? 1 : 0);
