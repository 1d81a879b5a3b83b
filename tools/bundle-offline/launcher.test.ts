import { spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packPart, sha256Of } from './archive.ts';
import { writeStart } from './launcher.ts';

// A bundle like any other but small: its Node is a script that runs ours, its command prints what reaches it.
const node = `#!/bin/sh\nexec '${process.execPath}' "$@"\n`;
const command = `import { readFileSync } from 'node:fs';
const data = readFileSync(new URL('../data/shared link', import.meta.url), 'utf8');
console.log(JSON.stringify({ args: process.argv.slice(2), data, libraries: process.env.LD_LIBRARY_PATH }));
process.exitCode = 7;`;

let home: string;
let bundle: string;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'star launcher '));
  bundle = join(home, 'the bundle');
  mkdirSync(bundle);
  writeFileSync(join(home, 'main.js'), command);
  writeFileSync(join(home, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(home, 'words'), 'some words');
  const app = [
    { path: 'app/main.js', source: join(home, 'main.js') },
    { path: 'app/package.json', source: join(home, 'package.json') },
  ];
  const data = [
    { path: 'data/words', source: join(home, 'words') },
    { path: 'data/shared link', link: 'words' },
  ];
  const parts = [
    await packPart(bundle, { name: 'app', files: app }),
    await packPart(bundle, { name: 'data', files: data }),
  ];
  writeFileSync(join(bundle, 'node.gz'), gzipSync(node));
  const facts = { file: 'node.gz', sha256: sha256Of(node) };
  writeStart(bundle, { parts, node: facts, compression: 'gzip', needs: 'a libc' });
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

/** Runs the launcher with a cache, a shared temporary folder, and nothing else from the environment. */
async function star(
  args: readonly string[],
  { cache = join(home, 'cache'), shared = join(home, 'shared'), file = join(bundle, 'star') } = {},
) {
  const env = { PATH: '/usr/bin:/bin', XDG_CACHE_HOME: cache, TMPDIR: shared };
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const code = new Promise<number | null>((resolve) => child.on('close', resolve));
  return { out: await text(child.stdout), err: await text(child.stderr), code: await code };
}

/** A file, where a folder would have to be made: no user may write there, root included. */
function blocked(name: string): string {
  const file = join(home, name);
  writeFileSync(file, '');
  return join(file, 'folder');
}

const unpackedIn = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);

describe.skipIf(`${process.platform} ${process.arch}` !== 'linux x64')('the launcher of a bundle', () => {
  it('unpacks at the first start only, and passes arguments, output and exit code on', async () => {
    const args = ['sample', 'red "apple"', '', '--out', 'a b'];
    const first = await star(args);
    const second = await star(args);
    expect(first).toMatchObject({ err: 'star: unpacking, once\n', code: 7 });
    expect(second).toEqual({ out: first.out, err: '', code: 7 });
    const [name] = unpackedIn(join(home, 'cache/star-webgpu'));
    const libraries = join(home, 'cache/star-webgpu', name!, 'lib');
    expect(JSON.parse(first.out)).toEqual({ args, data: 'some words', libraries });
  });

  it('takes the folder beside itself if the cache cannot be written, then the temporary folder', async () => {
    const cache = blocked('no cache');
    expect(await star([], { cache })).toMatchObject({ code: 7 });
    expect(unpackedIn(join(bundle, '.unpacked'))).toHaveLength(1);
    rmSync(join(bundle, '.unpacked'), { recursive: true });
    writeFileSync(join(bundle, '.unpacked'), '');
    mkdirSync(join(home, 'shared'));
    expect(await star([], { cache })).toMatchObject({ code: 7 });
    const [own] = unpackedIn(join(home, 'shared'));
    expect(own).toBe(`star-webgpu-${process.getuid!()}`);
    expect(await star([], { cache })).toMatchObject({ err: '', code: 7 });
  });

  it('says which places it tried if none can be written', async () => {
    writeFileSync(join(bundle, '.unpacked'), '');
    const { err, code } = await star([], { cache: blocked('no cache'), shared: blocked('no temporary') });
    expect(code).toBe(1);
    expect(err).toContain('star: a folder must be writable, allow programs and have room, got none:\n');
    for (const place of ['no cache/folder/star-webgpu', 'the bundle/.unpacked', 'no temporary/folder/star-webgpu-'])
      expect(err).toContain(`  ${join(home, place)}`);
  });

  it('refuses a damaged part and leaves nothing behind', async () => {
    appendFileSync(join(bundle, 'data.br'), 'x');
    const { err, code } = await star([]);
    expect(code).toBe(1);
    expect(err).toMatch(
      /data\.br must have the checksum [0-9a-f]{64}, got [0-9a-f]{64}\. Copy the bundle once more\.\n$/,
    );
    expect(unpackedIn(join(home, 'cache/star-webgpu'))).toEqual([]);
  });

  it('refuses a damaged Node and leaves nothing behind', async () => {
    writeFileSync(join(bundle, 'node.gz'), gzipSync(`${node}#`));
    const { err, code } = await star([]);
    expect(code).toBe(1);
    expect(err).toContain('node.gz is damaged');
    expect(unpackedIn(join(home, 'cache/star-webgpu'))).toEqual([]);
  });

  it('may be started several times at once', async () => {
    const runs = await Promise.all([1, 2, 3, 4].map((number) => star([String(number)])));
    expect(runs.map(({ code }) => code)).toEqual([7, 7, 7, 7]);
    expect(unpackedIn(join(home, 'cache/star-webgpu'))).toHaveLength(1);
  });

  it('finds its folder through links', async () => {
    symlinkSync(join('the bundle', 'star'), join(home, 'short'));
    symlinkSync(join(home, 'short'), join(home, 'shorter'));
    expect(await star(['x'], { file: join(home, 'shorter') })).toMatchObject({ code: 7 });
  });
});
