/** Where the model's folder lies, ending in a slash: `file:` in Node, wherever a bundler or server put it in a browser. */
export const modelUrl: URL = new URL('../model/', import.meta.url);
