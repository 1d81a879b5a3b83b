import { noGrad, scope } from '@star-webgpu/tensor-webgpu';
import { flattened, namesOf, uploaded } from './numbers.ts';
import type { HostValues, Stage, TrainingBatch } from './stage.ts';

/** Loss and metrics of a stage over batches, as means over their pictures: nothing is dropped at random, nothing is learnt. */
export async function evaluateStage(
  stage: Stage,
  batches: AsyncIterable<TrainingBatch>,
): Promise<Record<string, number>> {
  const sums = new Map<string, number>();
  let [pictures, draw] = [0, 0];
  for await (const batch of batches) {
    const [B] = batch.shape;
    const measured = await measure(stage, batch, await stage.inputs(batch, draw++, { evaluating: true }));
    for (const [name, value] of measured) sums.set(name, (sums.get(name) ?? 0) + B * value);
    pictures += B;
  }
  return Object.fromEntries([...sums].map(([name, sum]) => [name, sum / pictures]));
}

async function measure(
  stage: Stage,
  { shape: [, , height, width] }: TrainingBatch,
  inputs: Readonly<Record<string, HostValues>>,
): Promise<(readonly [name: string, value: number])[]> {
  const { names, numbers } = scope(() =>
    noGrad(() => {
      const places = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, uploaded(input)]));
      const { loss, metrics } = stage.forward(places, { height, width });
      const all = { loss, ...metrics };
      return { names: namesOf(all), numbers: flattened(Object.values(all)) };
    }),
  );
  const values = await numbers.data();
  numbers.dispose();
  return names.map((name, i) => [name, values[i]!]);
}
