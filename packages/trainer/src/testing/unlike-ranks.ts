// One rank of a training into the folder that it is given, in which rank 0 changes the last bit of a weight behind step 2.
import { assignBytes, createDevice, setDevice, type Tensor } from '@star-webgpu/tensor-webgpu';
import { openGpu, throttledWait } from '@star-webgpu/tensor-webgpu/node';
import { Vqvae } from '@star-webgpu/vqvae';
import { launchOf } from '../distributed/launch.ts';
import { openMpi } from '../distributed/mpi/communicator.ts';
import { train } from '../train.ts';
import { smallRun, smallVqvae } from './small-run.ts';

async function changeLastBit(weight: Tensor): Promise<void> {
  const bytes = new Uint8Array((await weight.hostData()).slice().buffer);
  bytes[0]! ^= 1;
  assignBytes(weight, bytes);
}

const communicator = await openMpi({ launch: launchOf(process.env)!, timeoutSeconds: 60 });
const { adapter, close } = await openGpu();
const device = await createDevice(adapter, { wait: throttledWait, onDestroy: close });
setDevice(device);
const model = new Vqvae(smallVqvae, { seed: 1 });
try {
  const [weight] = model.namedParameters().values();
  const onStep = async ({ step }: { readonly step: number }): Promise<void> => {
    if (step === 2) await changeLastBit(weight!);
  };
  await train(smallRun(model, { communicator, steps: 6, folder: process.argv[2]!, onStep }));
  await communicator.close();
} catch (error) {
  await communicator.abort((error as Error).message);
}
device.destroy();
