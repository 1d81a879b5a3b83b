import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { BundleOptions } from './bundle.ts';

/** How to call the tool. */
export const usage = `Packs the star command with Node and a Vulkan loader into one folder for Linux x64.

  npm run bundle -- [options]

  --out DIR             the folder; out/star-offline by default
  --node FILE           a Node binary for Linux x64; the running one by default
  --vulkan-loader FILE  a libvulkan.so.1, or a Debian package with one; by default that of @sparticuz/chromium
  --compression NAME    how Node is packed: gzip (by default; on every Linux) or xz (smaller, slower at the first start)
  --with-emoji          also the data set of "star pack emoji"
  --limit MB            fail above this size; 60 by default`;

/** Options from the command line; nothing where help was asked for. @throws on a wrong one. */
export function optionsOf(args: readonly string[]): Omit<BundleOptions, 'root' | 'say'> | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      out: { type: 'string', default: 'out/star-offline' },
      node: { type: 'string', default: process.execPath },
      'vulkan-loader': { type: 'string' },
      compression: { type: 'string', default: 'gzip' },
      'with-emoji': { type: 'boolean', default: false },
      limit: { type: 'string', default: '60' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    out: resolve(values.out),
    node: resolve(values.node),
    loader: values['vulkan-loader'],
    compression: compressionOf(values.compression),
    withEmoji: values['with-emoji'],
    limit: limitOf(values.limit),
  };
}

function compressionOf(given: string): BundleOptions['compression'] {
  if (given === 'gzip' || given === 'xz') return given;
  throw new Error(`bundle-offline: --compression must be gzip or xz, got ${given}. Use gzip for any Linux.`);
}

function limitOf(given: string): number {
  const limit = Number(given);
  if (limit > 0) return limit;
  throw new Error(
    `bundle-offline: --limit must be a number of MB above 0, got ${given}. Leave it out for the default.`,
  );
}
