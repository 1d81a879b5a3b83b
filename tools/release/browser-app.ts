import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openBrowser } from '../../apps/demo/test/browser.ts';
import { serveSite } from '../../apps/demo/test/site.ts';
import { run } from './steps.ts';

const page = '<!doctype html><meta charset="utf-8"><title>draws</title><script type="module" src="/main.js"></script>';

const script = `import { loadPipeline } from '@star-webgpu/sampler';
import { createDevice, setDevice } from '@star-webgpu/tensor-webgpu';

const read = async (path) => {
  const response = await fetch('model/' + path);
  if (!response.ok) throw new Error(path + ' is not served');
  return new Uint8Array(await response.arrayBuffer());
};
try {
  setDevice(await createDevice(await navigator.gpu.requestAdapter()));
  const pipeline = await loadPipeline(read);
  const { width, height, data } = await pipeline.pictures(['red apple'], { seed: 42 });
  document.title = ['drawn', width, height, new Set(data).size].join(' ');
} catch (error) {
  document.title = 'failed ' + error.message;
}
`;

/** Builds an app of the installed packages by Vite. Gives the folder of the built site. @throws Error if a module of Node is asked for */
export function buildBrowserApp(project: string): string {
  const app = join(project, 'app');
  mkdirSync(join(app, 'public'), { recursive: true });
  writeFileSync(join(app, 'index.html'), page);
  writeFileSync(join(app, 'main.js'), script);
  cpSync(join(project, 'node_modules/@star-webgpu/model-emoji/model'), join(app, 'public/model'), { recursive: true });
  const said = run(join(project, 'node_modules/.bin/vite'), ['build', 'app', '--target', 'es2022'], { cwd: project });
  if (/externalized for browser/.test(said))
    throw new Error(`release: no module of Node may be asked for, got\n${said}`);
  return join(app, 'dist');
}

/** Opens the built site in a browser and waits for its picture. @throws Error with what went wrong */
export async function drawInBrowser(site: string): Promise<string> {
  const { address, close } = await serveSite({ files: site });
  const browser = await openBrowser();
  try {
    const tab = await browser.newPage();
    await tab.goto(address);
    await tab.waitForFunction(() => /^(drawn|failed)/.test(document.title), undefined, { timeout: 300_000 });
    const title = await tab.title();
    const [outcome, , , colours] = title.split(' ');
    if (outcome !== 'drawn' || Number(colours) < 16)
      throw new Error(`release: the app must draw a picture, got "${title}".`);
    return title;
  } finally {
    await browser.close();
    await close();
  }
}
