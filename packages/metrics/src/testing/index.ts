export { type NetworkFiles, smallClipFiles, smallInceptionFiles, smallLpipsFiles } from './small-networks.ts';
