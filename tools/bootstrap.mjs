// Sets up what is missing, then runs a command of the repository. Plain Node: nothing is installed yet when it starts.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { packageManager, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const stampFile = join(root, 'node_modules', '.star-stamp');

const say = (text) => process.stderr.write(`${text}\n`);

/** Signals are for the program: Ctrl-C reaches it by itself, as all that a terminal has started; others are handed on. */
function handOnSignals(child) {
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGUSR1']) process.on(signal, () => child.kill(signal));
}

/** Runs a program in the root; resolves to its exit code. */
function run(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: 'inherit', ...options });
    handOnSignals(child);
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(signal ? 1 : (code ?? 1)));
  });
}

/** Turbo looks for pnpm on the path; ours is among the dependencies. */
const toolEnvironment = {
  ...process.env,
  PATH: `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH}`,
  TURBO_TELEMETRY_DISABLED: '1',
};

/** Like run, but keeps what the program printed. */
async function capture(program, args) {
  const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env: toolEnvironment });
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  child.stderr.on('data', (data) => (output += data));
  const code = await new Promise((resolve) => child.on('close', resolve));
  return { code, output };
}

function checkNode() {
  const wanted = engines.node.replace('>=', '').split('.').map(Number);
  const own = process.versions.node.split('.').map(Number);
  const older = own[0] < wanted[0] || (own[0] === wanted[0] && own[1] < wanted[1]);
  if (!older) return;
  say(`Node must be ${engines.node}, got ${process.versions.node}. Install a newer one from nodejs.org.`);
  process.exit(1);
}

/** Changes when any dependency may have changed. */
function dependencyHash() {
  const hash = createHash('sha256').update(process.version);
  const folders = ['packages', 'apps'].flatMap((group) =>
    readdirSync(join(root, group)).map((name) => join(group, name)),
  );
  const files = [
    'pnpm-lock.yaml',
    'pnpm-workspace.yaml',
    'package.json',
    ...folders.map((folder) => join(folder, 'package.json')),
    'packages/tensor-webgpu/bench/package.json',
  ];
  for (const file of files) if (existsSync(join(root, file))) hash.update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

/** Projects that are installed for a purpose, with what they depend on; each purpose takes in those before it. */
const purposes = [
  { name: 'command', projects: ['@star-webgpu/cli...'] },
  { name: 'benchmark', projects: ['@star-webgpu/cli...', '@star-webgpu/bench...'] },
  { name: 'development', projects: [] },
];

/** Rank of what was installed before, or -1, and the dependencies that it was installed by. */
function readStamp() {
  const [hash, name] = existsSync(stampFile) ? readFileSync(stampFile, 'utf8').split(' ') : [];
  return { hash, rank: purposes.findIndex((purpose) => purpose.name === name) };
}

/** Installs what a purpose takes, where it is missing or out of date; a new user's first picture needs no other library to be timed beside. */
async function install(purpose) {
  const hash = dependencyHash();
  const stamp = readStamp();
  const wanted = purposes.findIndex(({ name }) => name === purpose);
  if (stamp.hash === hash && stamp.rank >= wanted) return;
  const { name, projects } = purposes[Math.max(stamp.rank, wanted)];
  say(`Installing dependencies of the ${name} (once)...`);
  const filters = projects.flatMap((project) => ['--filter', project]);
  const code = await run(
    'npx',
    ['-y', packageManager, 'install', '--frozen-lockfile', '--prefer-offline', ...filters],
    {
      stdio: ['ignore', 2, 2],
    },
  );
  if (code !== 0) {
    say('Installing dependencies failed; the lines above say why. Check the network and run the command again.');
    process.exit(code);
  }
  writeFileSync(stampFile, `${hash} ${name}`);
}

const bin = (name) => join(root, 'node_modules', '.bin', name);
const source = ['--conditions=@star-webgpu/source', '--import', 'tsx'];
const runSource = (file, args) => run(process.execPath, [...source, join(root, 'apps/cli', file), ...args]);
const star = (args) => runSource('src/main.ts', args);

/** Checks that need no GPU, cheapest first. */
const gates = [
  { name: 'format', program: 'oxfmt', args: ['--check', 'packages', 'apps', 'tools', 'recipes'] },
  { name: 'lint', program: 'oxlint', args: ['--deny-warnings', 'packages', 'apps', 'tools'] },
  { name: 'layers', program: 'tsx', args: ['tools/check-layers.main.ts'] },
  { name: 'types', program: 'tsc', args: ['-b'] },
  { name: 'page types', program: 'vue-tsc', args: ['--noEmit', '-p', 'apps/demo'] },
  { name: 'unused', program: 'knip', args: ['--no-progress'] },
  { name: 'docs', program: 'tsx', args: ['tools/check-docs.main.ts'] },
  {
    name: 'build',
    program: 'turbo',
    args: ['run', 'build', '--output-logs=errors-only', '--no-daemon', '--filter=./packages/*', '--filter=./apps/cli'],
  },
  { name: 'packages', program: 'tsx', args: ['tools/check-packages.main.ts'] },
  { name: 'sizes', program: 'size-limit', args: ['--silent'] },
  { name: 'dist', program: 'tsx', args: ['--conditions=@star-webgpu/source', 'tools/check-dist.main.ts'] },
];

async function runGate({ name, program, args }) {
  const started = Date.now();
  const { code, output } = await capture(bin(program), args);
  say(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  if (code !== 0) say(output);
  return code === 0;
}

/** Runs the unit tests; resolves to the numbers of passed and failed ones. */
async function unitTests(filters, environment = {}) {
  const report = join(root, 'node_modules', '.vitest-report.json');
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...filters];
  const code = await run(bin('vitest'), args, { env: { ...process.env, ...environment } });
  const { numPassedTests: passed, numFailedTests: failed } = JSON.parse(readFileSync(report, 'utf8'));
  return { passed, failed: code === 0 ? failed : Math.max(1, failed) };
}

/** Packages whose reference numbers must be met on the embedded adapter too. */
const models = ['packages/vqvae', 'packages/star-transformer', 'packages/text-encoder', 'packages/sampler'];

async function test(filters) {
  const results = [];
  if (!filters.length) for (const gate of gates) results.push(await runGate(gate));
  const runs = [await unitTests(filters)];
  if (!filters.length && !process.env.STAR_ADAPTER) {
    say('The models once more, on the embedded SwiftShader');
    runs.push(await unitTests(models, { STAR_ADAPTER: 'swiftshader' }));
  }
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
  const passed = sum(runs.map((run) => run.passed)) + results.filter(Boolean).length;
  const failed = sum(runs.map((run) => run.failed)) + results.filter((ok) => !ok).length;
  console.log(`\n${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

/** The tests that kill what they test, as often as is worth waiting for. */
async function testKill(filters) {
  const { passed, failed } = await unitTests(filters.length ? filters : ['.kill.test'], { STAR_KILL: 'full' });
  console.log(`\n${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

const commands = {
  start: { purpose: 'command', run: (args) => star(['sample', ...(args.length ? args : ['red apple'])]) },
  star: { purpose: 'command', run: star },
  bench: { purpose: 'benchmark', run: (args) => runSource('bench/main.ts', args) },
  'bench:ranks': { purpose: 'command', run: (args) => runSource('bench/scaling/main.ts', args) },
  bundle: {
    purpose: 'development',
    run: (args) => run(bin('tsx'), [join(root, 'tools/bundle-offline.main.ts'), ...args], { env: toolEnvironment }),
  },
  release: {
    purpose: 'development',
    run: (args) => run(bin('tsx'), [join(root, 'tools/release.main.ts'), ...args], { env: toolEnvironment }),
  },
  test: { purpose: 'development', run: test },
  'test:kill': { purpose: 'development', run: testKill },
};

checkNode();
const [name, ...args] = process.argv.slice(2);
const command = commands[name];
await install(command.purpose);
process.exit(await command.run(args));
