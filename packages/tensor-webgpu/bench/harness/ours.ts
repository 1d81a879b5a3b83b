import { contiguous, currentDevice, noGrad, plan, scope, type Tensor } from '@star-webgpu/tensor-webgpu';
import type { Candidate, Step } from './row.ts';

/** A step of ours as a contender: recorded once as a plan and replayed. */
export function oursCandidate(name: string, { inputs, step }: Step<Tensor>): Candidate {
  const replay = plan(() => {
    const results = step(...inputs);
    return noGrad(() => results.map((result) => contiguous(result)));
  });
  return {
    name,
    kind: 'ours',
    run: async () => {
      replay.run();
      await currentDevice().idle();
    },
    outputs: async () => {
      replay.run();
      const outputs: Float32Array[] = [];
      for (const result of replay.result) outputs.push(await result.data());
      return outputs;
    },
    dispose: () => {
      replay.dispose();
      scope(() => inputs.forEach((input) => input.dispose()));
    },
  };
}
