import { defineConfig, type Options } from 'tsup';

/** Options shared by every package that is published: ESM only, types beside the code, source maps. */
export const library = (options: { entry: string[] }): ReturnType<typeof defineConfig> =>
  defineConfig({
    entry: options.entry,
    format: 'esm',
    target: 'es2022',
    dts: { compilerOptions: { composite: false } },
    sourcemap: true,
    clean: true,
    splitting: true,
  } satisfies Options);
