// Publishes the packages as they were tried: pnpm release [--dry-run]
// In a clone of the last commit: versions and changelogs by changesets, build, sizes, licences; then in an empty project outside of it:
// npm installs the packed files, every README example is checked and run under Node 20 and 24, and a Vite app draws in a browser.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packAll } from './check-dist.ts';
import { buildBrowserApp, drawInBrowser } from './release/browser-app.ts';
import { build, bumpVersions, checkSizes, cloneRepository } from './release/clone.ts';
import { checkTypes, runExample, writeExamples } from './release/examples.ts';
import { licencesPage } from './release/licences.ts';
import { run, step } from './release/steps.ts';
import { createUserProject, installNode } from './release/user-project.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const dryRun = process.argv.includes('--dry-run');
const folder = mkdtempSync(join(tmpdir(), 'star-release-'));
const [clone, project, tarballs] = ['repository', 'project', 'tarballs'].map((name) => join(folder, name)) as [
  string,
  string,
  string,
];
/** Majors that a user may have; the one at work counts for its own. */
const majors = [20, 24];

try {
  await step('a clone of the last commit', () => cloneRepository(root, clone));
  console.error(await step('versions and changelogs', () => bumpVersions(clone)));
  await step('build', () => build(clone));
  console.error(await step('sizes within their budgets', () => checkSizes(clone)));
  await step('licences as docs/licences.md has them', () => {
    if (licencesPage(clone) !== readFileSync(join(clone, 'docs/licences.md'), 'utf8'))
      throw new Error('release: docs/licences.md must be current, got other packages. Run pnpm write:licences.');
  });
  const files = await step('packed', () => packAll(clone, tarballs));
  for (const file of files) console.error(`       ${basename(file)}: ${Math.ceil(statSync(file).size / 1000)} kB`);
  await step('npm installs the packed files', () => createUserProject(project, files));
  const names = readdirSync(join(clone, 'packages'));
  const examples = writeExamples(join(clone, 'packages'), names, project);
  await step('types of the README examples', () => checkTypes(project));
  for (const major of majors) {
    const own = Number(process.versions.node.split('.')[0]) === major;
    const node = own ? process.execPath : installNode(join(folder, `node-${major}`), major);
    for (const example of examples)
      await step(`README of ${example.name} under Node ${major}`, () => runExample(example, node));
    const star = join(project, 'node_modules/@star-webgpu/cli/dist/main.js');
    await step(`star sample under Node ${major}`, () => run(node, [star, 'sample', 'red apple'], { cwd: project }));
  }
  const site = await step('Vite builds an app', () => buildBrowserApp(project));
  console.error(await step('the app draws in a browser', () => drawInBrowser(site)));
  if (dryRun) console.log(`${files.length} packages are ready; nothing was published`);
  else for (const file of files) await step(`published ${file}`, () => run('npm', ['publish', file], { cwd: clone }));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
