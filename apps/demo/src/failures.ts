import type { FailureReason } from './protocol.ts';

/** What a person can do about it, by what went wrong. */
export const advice: Readonly<Record<FailureReason, { readonly title: string; readonly text: string }>> = {
  'no-webgpu': {
    title: 'This browser has no WebGPU',
    text: 'Chrome and Edge have it from version 113, Safari from 26, Firefox from 141 on Windows. The page must come over https or from localhost. Without such a browser, npm start draws the same pictures in Node.',
  },
  'no-adapter': {
    title: 'No graphics adapter was found',
    text: 'Turn on hardware acceleration in the browser’s settings, update the graphics driver, and reload the page. In Chrome, chrome://gpu says why WebGPU is off.',
  },
  model: {
    title: 'The model could not be loaded',
    text: 'Check the connection and reload the page. If it stays like this, clear the stored data of this site: a broken file may have been kept.',
  },
  drawing: {
    title: 'Drawing stopped',
    text: 'The graphics adapter gave up, most likely for want of memory. Close other tabs and reload the page.',
  },
};
