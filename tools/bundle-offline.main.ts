import { fileURLToPath } from 'node:url';
import { bundleOffline, type BundleOptions } from './bundle-offline/bundle.ts';
import { optionsOf, usage } from './bundle-offline/options.ts';
import { tableOf } from './bundle-offline/report.ts';

// Packs Node, the Vulkan loader and the built command into one folder that runs on a Linux x64 machine with neither network nor Node.
const root = fileURLToPath(new URL('..', import.meta.url));
const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** Makes the bundle; prints what is in it. */
async function make(options: BundleOptions): Promise<void> {
  const { rows, node, needs } = await bundleOffline(options);
  console.log(tableOf(rows));
  console.log(`\n${options.out}: needs ${needs}; ${options.compression} at the first start`);
  say(`stripping Node took off ${(node.saved / 1e6).toFixed(1)} MB`);
}

try {
  const options = optionsOf(process.argv.slice(2));
  await (options ? make({ ...options, root, say }) : console.log(usage));
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
