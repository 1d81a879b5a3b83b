import { defineConfig } from 'vitest/config';

export default defineConfig({
  ssr: { resolve: { conditions: ['@star-webgpu/source', 'node', 'import', 'default'] } },
  resolve: { conditions: ['@star-webgpu/source', 'node', 'import', 'default'] },
  test: {
    include: ['packages/*/{src,test,bench}/**/*.test.ts', 'apps/*/{src,test,bench}/**/*.test.ts', 'tools/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
