import { loadPipeline, type Pipeline, type ReadFile } from '@star-webgpu/sampler';
import { createDevice, setDevice } from '@star-webgpu/tensor-webgpu';
import { loadTuning } from '@star-webgpu/tensor-webgpu/browser';
import { failureOf } from './failures.ts';
import { readerOf } from './folder-reader.ts';
import { forgetModel, siteModel } from './model-files.ts';
import { type Loading, type ModelFacts, type ModelFolder, PainterError } from './painter.ts';
import { settingsOf } from './settings.ts';

/** Opens the graphics adapter and makes its device the current one. -> its name. @throws PainterError */
export async function openAdapter(): Promise<string> {
  if (!navigator.gpu) throw new PainterError('no-webgpu', 'navigator.gpu is missing');
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new PainterError('no-adapter', 'requestAdapter gave none');
  const device = await createDevice(adapter);
  setDevice(device);
  await loadTuning(device);
  const { vendor, architecture, description } = adapter.info;
  return description || `${vendor} ${architecture}`.trim() || 'unnamed GPU';
}

interface Opened {
  readonly model: ModelFacts;
  readonly opened: Pipeline;
}

/** Loads the model of a folder, or the site's own. @throws PainterError of the reason `folder`, or what loading says */
export async function openModel(
  folder: ModelFolder | undefined,
  onLoading: (loading: Loading) => void,
): Promise<Opened> {
  const opened = folder ? await openFolder(folder, onLoading) : await openOwn(onLoading);
  return { model: factsOf(opened, folder), opened };
}

const factsOf = ({ star: { config }, defaults }: Pipeline, folder: ModelFolder | undefined): ModelFacts => ({
  name: folder?.name ?? 'emoji',
  place: folder ? 'folder' : 'site',
  sides: config.patchNumbers,
  codebookSize: config.codebookSize,
  hasRefiner: config.refiner !== undefined,
  settings: settingsOf(defaults),
});

/** The site's model. What arrived broken is not kept. */
async function openOwn(onLoading: (loading: Loading) => void): Promise<Pipeline> {
  try {
    return await loadPipeline(await siteModel(onLoading));
  } catch (error) {
    if (failureOf(error).reason === 'model') await forgetModel();
    throw error;
  }
}

async function openFolder(folder: ModelFolder, onLoading: (loading: Loading) => void): Promise<Pipeline> {
  const read: ReadFile = readerOf(folder, onLoading);
  try {
    return await loadPipeline(read);
  } catch (error) {
    const { reason, message } = failureOf(error);
    throw new PainterError(reason === 'model' ? 'folder' : reason, message);
  }
}
