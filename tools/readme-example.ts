import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** Runs the first TypeScript example of a package's README as it stands, against the package's source. Rejects if it throws. */
export async function runReadmeExample(packageFolder: URL): Promise<void> {
  const readme = await readFile(new URL('README.md', packageFolder), 'utf8');
  const example = /```ts\n(.*?)```/s.exec(readme)?.[1];
  if (!example) throw new Error(`${fileURLToPath(packageFolder)}README.md must hold a \`\`\`ts example.`);
  const folder = new URL('.cache/', packageFolder);
  const file = new URL(`readme-example-${process.pid}.ts`, folder);
  await mkdir(folder, { recursive: true });
  await writeFile(file, example);
  try {
    await import(/* @vite-ignore */ file.href);
  } finally {
    await rm(file);
  }
}
