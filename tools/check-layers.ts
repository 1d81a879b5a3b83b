import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Packages by layer, lowest first; a package may import lower layers only, and of those only what `allowed` lists. */
const layers: readonly (readonly string[])[] = [
  ['tensor-webgpu', 'data-lmdb', 'model-emoji'],
  ['vqvae', 'text-encoder'],
  ['star-transformer'],
  ['sampler', 'trainer', 'metrics'],
  ['cli', 'demo'],
];

const forbidden: Readonly<Record<string, readonly string[]>> = {
  vqvae: ['data-lmdb'],
  'text-encoder': ['data-lmdb'],
  'star-transformer': ['data-lmdb'],
  sampler: ['data-lmdb'],
  metrics: ['data-lmdb', 'vqvae', 'star-transformer'],
  demo: ['data-lmdb', 'trainer', 'metrics'],
};

/** Packages that run in Node only, so that they may import its modules anywhere. */
const nodePackages = new Set(['data-lmdb', 'trainer', 'metrics', 'cli']);

export interface SourceFile {
  readonly owner: string;
  readonly path: string;
  readonly text: string;
}

/** Names of the packages, lowest layer first. */
export const packagesByLayer: readonly string[] = layers.slice(0, -1).flat();

const layerOf = (name: string): number => layers.findIndex((layer) => layer.includes(name));
const isTest = (path: string): boolean => /\.test\.ts$|\/testing\//.test(path);
const isNodeFile = (path: string): boolean => /(^|\/)node\.ts$/.test(path);

/** What is wrong with a file, one line a fault. */
export function faultsOf(file: SourceFile): string[] {
  return [...importFaults(file), ...roomFaults(file)].map((fault) => `${file.path}: ${fault}`);
}

function importFaults({ owner, path, text }: SourceFile): string[] {
  const names = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, name]) => name!);
  return names.flatMap((name) => {
    if (name.startsWith('node:'))
      return nodePackages.has(owner) || isTest(path) || isNodeFile(path)
        ? []
        : [`must not import ${name}: only files named node.ts may`];
    const own = /^@star-webgpu\/([^/]+)/.exec(name)?.[1];
    if (!own || own === owner) return [];
    if (layerOf(own) >= layerOf(owner)) return [`must not import ${own}: it is no layer below ${owner}`];
    return forbidden[owner]?.includes(own) ? [`must not import ${own}: ${owner} knows nothing of it`] : [];
  });
}

function roomFaults({ owner, path, text }: SourceFile): string[] {
  if (isTest(path) || owner === 'cli' || owner === 'demo') return [];
  const faults: string[] = [];
  if (/@compute\b/.test(text) && !/kernels\/.*\.ts$/.test(path))
    faults.push('must not hold WGSL: it belongs in tensor-webgpu/src/kernels');
  if (/\bGPU(Device|Buffer)\b/.test(text) && owner !== 'tensor-webgpu')
    faults.push('must not touch GPUDevice or GPUBuffer: they belong to tensor-webgpu');
  if (/\bconsole\./.test(text)) faults.push('must not print: only apps do');
  if (/\bprocess\.(env|argv)\b/.test(text) && !isNodeFile(path))
    faults.push('must not read the environment: only apps and node.ts do');
  return faults;
}

/** Every TypeScript file under a folder. */
function sourcesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? sourcesUnder(path) : entry.name.endsWith('.ts') ? [path] : [];
  });
}

/** Faults of all packages and apps of a repository. */
export function checkRepository(root: string): string[] {
  const groups = [
    ['packages', packagesByLayer],
    ['apps', layers.at(-1)!],
  ] as const;
  return groups.flatMap(([group, names]) =>
    readdirSync(join(root, group)).flatMap((owner) => {
      if (!names.includes(owner)) return [`${group}/${owner}: must stand in a layer of tools/check-layers.ts`];
      const source = join(root, group, owner, 'src');
      const files = readdirSync(join(root, group, owner)).includes('src') ? sourcesUnder(source) : [];
      return files.flatMap((path) => faultsOf({ owner, path: relative(root, path), text: readFileSync(path, 'utf8') }));
    }),
  );
}
