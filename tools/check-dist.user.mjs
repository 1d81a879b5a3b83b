// Runs inside an installation of the packed packages: imports all that they export and computes a little, as a user would.
import { existsSync } from 'node:fs';
import { argv, exit } from 'node:process';

/** Names that each entry must export. */
const wanted = JSON.parse(argv[2]);
const faults = [];

for (const [entry, names] of Object.entries(wanted)) {
  try {
    const module = await import(entry);
    for (const name of names)
      if (module[name] === undefined) faults.push(`${entry}: ${name} must be exported, got nothing.`);
  } catch (error) {
    faults.push(`${entry}: must be importable, got ${error.message}`);
  }
}

/** Adds two tensors on the adapter, if the machine has one. */
async function compute() {
  const { add, createDevice, setDevice, tensor } = await import('@star-webgpu/tensor-webgpu');
  const { AdapterError, openGpu, throttledWait } = await import('@star-webgpu/tensor-webgpu/node');
  const opened = await openGpu().catch((error) => {
    if (!(error instanceof AdapterError)) throw error;
  });
  if (!opened) return console.log('no adapter: nothing was computed');
  const device = await createDevice(opened.adapter, { wait: throttledWait, onDestroy: opened.close });
  setDevice(device);
  const values = [...(await add(tensor([1, 2, 3], [3]), 0.5).data())];
  if (values.join() !== '1.5,2.5,3.5')
    faults.push(`@star-webgpu/tensor-webgpu: add must give 1.5,2.5,3.5, got ${values}.`);
  device.destroy();
}

if (!faults.length) {
  const { modelUrl } = await import('@star-webgpu/model-emoji');
  const weights = new URL('star/model.safetensors', modelUrl);
  if (!existsSync(weights)) faults.push(`@star-webgpu/model-emoji: weights must lie at ${weights}, got nothing.`);
  await compute();
}
for (const fault of faults) console.error(fault);
exit(faults.length ? 1 : 0);
