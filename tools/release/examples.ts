import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { run } from './steps.ts';

/** A README's first example, ready to run. */
export interface Example {
  readonly name: string;
  /** TypeScript file in the project. */
  readonly file: string;
}

/** READMEs that say in words to open a device first. */
const wantDevice: ReadonlySet<string> = new Set(['text-encoder', 'metrics']);

const openDevice = `import { createDevice as openDevice, setDevice as useDevice } from '@star-webgpu/tensor-webgpu';
import { openGpu as openAny, throttledWait as waiting } from '@star-webgpu/tensor-webgpu/node';
const opened = await openAny();
const made = await openDevice(opened.adapter, { wait: waiting, onDestroy: opened.close });
useDevice(made);
`;

/** A picture of one pixel with its caption beside it. */
const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';

/** Lays out the examples of all READMEs in a project, each in a folder of its own with the files that it speaks of. */
export function writeExamples(packages: string, names: readonly string[], project: string): Example[] {
  return names.flatMap((name) => {
    const readme = readFileSync(join(packages, name, 'README.md'), 'utf8');
    const code = /```ts\n(.*?)```/s.exec(readme)?.[1];
    if (!code) return [];
    const folder = join(project, 'examples', name);
    mkdirSync(folder, { recursive: true });
    if (name === 'sampler') cpSync(join(packages, 'model-emoji/model'), join(folder, 'model'), { recursive: true });
    if (name === 'data-lmdb') writePictures(join(folder, 'pictures'));
    const file = join(folder, 'example.ts');
    writeFileSync(file, wantDevice.has(name) ? `${openDevice}${code}made.destroy();\n` : code);
    return [{ name, file }];
  });
}

function writePictures(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const name of ['one', 'two', 'three']) {
    writeFileSync(join(folder, `${name}.png`), Buffer.from(pixel, 'base64'));
    writeFileSync(join(folder, `${name}.txt`), `picture ${name}\n`);
  }
}

/** Checks the examples against the types that the packed files bring, as bundlers and as Node resolve them. */
export function checkTypes(project: string): void {
  const options = {
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    lib: ['ES2022', 'DOM', 'DOM.Iterable'],
    types: ['node', '@webgpu/types'],
  };
  for (const [module, moduleResolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ] as const) {
    const compilerOptions = { ...options, target: 'es2022', module, moduleResolution };
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['examples'] }));
    run(join(project, 'node_modules/.bin/tsc'), ['-p', '.'], { cwd: project });
  }
}

/** Runs an example by a Node, as the JavaScript that it is without its types. @throws Error with what it printed */
export function runExample({ file }: Example, node: string): void {
  const { outputText } = ts.transpileModule(readFileSync(file, 'utf8'), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 },
  });
  const script = file.replace(/\.ts$/, '.mjs');
  writeFileSync(script, outputText);
  run(node, [script], { cwd: join(file, '..') });
}
