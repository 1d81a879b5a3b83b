export type { TextFeatures } from './features.ts';
