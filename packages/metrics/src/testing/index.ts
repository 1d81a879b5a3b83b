/**
 * Small networks in the published file formats, for tests.
 * @module
 */

export { type NetworkFiles, smallClipFiles, smallInceptionFiles, smallLpipsFiles } from './small-networks.ts';
