import { Tensor, type Module } from '@star-webgpu/tensor-webgpu';

type Forward = (...args: unknown[]) => unknown;

/**
 * Runs a function while the outputs of a model's modules are shown by their paths, as forward hooks do in PyTorch. Outputs that are no
 * tensor are passed over.
 */
export function watching<T>(
  model: Module,
  { paths, onOutput }: { readonly paths: RegExp; readonly onOutput: (path: string, output: Tensor) => void },
  run: () => T,
): T {
  const watched = [...model.namedModules()].filter(([path, module]) => paths.test(path) && 'forward' in module);
  for (const [path, module] of watched) {
    const forward = (module as Module & { forward: Forward }).forward;
    const shown: Forward = (...args) => {
      const output = forward.apply(module, args);
      if (output instanceof Tensor) onOutput(path, output);
      return output;
    };
    Object.defineProperty(module, 'forward', { value: shown, configurable: true });
  }
  try {
    return run();
  } finally {
    for (const [, module] of watched) delete (module as { forward?: unknown }).forward;
  }
}
