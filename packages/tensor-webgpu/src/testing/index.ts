/**
 * What tests of ops and models share, with vitest: devices, hashed tensors, closeness, gradients, golden files.
 * @module
 */

export { expectClose, relativeError, valuesOf } from './close.ts';
export { goldenWeights, type GoldenTensor, loadGolden, loadGoldenJson, type Manifest } from './golden.ts';
export { gradcheck, type GradcheckOptions } from './gradcheck.ts';
export { hashed, hashedValues } from './hashed.ts';
export { isMpiMissing, startRanks } from './mpirun.ts';
export { testDevice, withLimits } from './test-device.ts';
export { describeHalves, describeVariants } from './variants.ts';
export {
  archiveParts,
  type FileParts,
  legacyTorchParts,
  partsBytes,
  torchParts,
  type Written,
  WrittenFloat,
  WrittenOrdered,
  WrittenTensor,
  writtenHole,
  type WrittenStorage,
  writtenTensor,
  WrittenTuple,
} from './torch-writer.ts';
