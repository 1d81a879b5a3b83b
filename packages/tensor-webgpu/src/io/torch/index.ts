/**
 * Files of PyTorch, read without executing anything in them.
 * @module
 */

export { TorchFileError } from './errors.ts';
export { openTorch, type TorchFile } from './open.ts';
export { TorchTensor } from './tensor.ts';
export { childrenOf, isTorchMap, tensorsIn, torchAt, TorchName, type TorchValue } from './values.ts';
