import { defineConfig, type Options } from 'tsup';

type Plugin = NonNullable<Options['plugins']>[number];
type Config = ReturnType<typeof defineConfig>;
interface Entries {
  readonly entry: string[];
}

const shared = {
  format: 'esm',
  target: 'es2022',
  sourcemap: true,
  clean: true,
  splitting: true,
} satisfies Options;

/** Options of what is run, not imported: ESM only, source maps. */
export const program = ({ entry }: Entries): Config =>
  defineConfig({ ...shared, entry, dts: { compilerOptions: { composite: false } } });

/** Leaves out imports for nothing but effects, as our modules have none; bundlers would warn of each. Lines stay, for the source maps. */
const withoutBareImports: Plugin = {
  name: 'without-bare-imports',
  renderChunk: (code, { map }) => ({ code: code.replaceAll(/^import "\.[^"]*";$/gm, ''), map }),
};

/** Every module but those of tests, unless these are public. */
const modulesOf = ({ entry }: Entries): string[] => [
  'src/**/*.ts',
  '!src/**/*.test.ts',
  ...(entry.some((path) => path.includes('/testing/')) ? [] : ['!src/**/testing/**']),
];

/**
 * Options of every library: ESM only, types beside the public entries, source maps.
 * Modules stay apart, so that a bundler leaves out those that a page does not use: within one file it would keep every kernel, whose definition is a call.
 */
export const library = ({ entry }: Entries): Config =>
  defineConfig({
    ...shared,
    entry: [...entry, ...modulesOf({ entry })],
    dts: { entry, compilerOptions: { composite: false } },
    plugins: [withoutBareImports],
  });
