import type * as JaxModule from '@jax-js/jax';
import type * as TfModule from '@tensorflow/tfjs-core';

/** The peers, set up on the adapter that we use. */
export interface Peers {
  readonly jax: typeof JaxModule;
  readonly tf: typeof TfModule;
}

/** Loads jax-js and tfjs on our GPU object: both want a browser's navigator. */
export async function loadPeers(gpu: GPU, wrapAdapter: () => Promise<GPUAdapter | null>): Promise<Peers> {
  const shared = new Proxy(gpu, {
    get: (target, key) => (key === 'requestAdapter' ? wrapAdapter : Reflect.get(target, key, target)),
  });
  Object.defineProperty(globalThis, 'navigator', { value: { gpu: shared, userAgent: 'node' }, configurable: true });
  const jax = await import('@jax-js/jax');
  await jax.init('webgpu');
  jax.defaultDevice('webgpu');
  const tf = await import('@tensorflow/tfjs-core');
  await import('@tensorflow/tfjs-backend-webgpu');
  await tf.setBackend('webgpu');
  await tf.ready();
  return { jax, tf };
}
