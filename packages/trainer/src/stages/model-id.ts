/** @throws Error if a checkpoint's state names another model than the one that is trained. */
export function checkModelId(state: unknown, wanted: string | undefined): void {
  const { modelId } = state as { readonly modelId?: string };
  if (modelId !== wanted)
    throw new Error(
      `train: the checkpoint must be of model ${wanted}, got one of ${modelId}. Use another folder, or the model that the run began with.`,
    );
}
