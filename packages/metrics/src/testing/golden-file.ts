export const goldenFile = (name: string): URL => new URL(`../../test/golden/${name}`, import.meta.url);
