import type { FailureReason } from '../painter/painter.ts';

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
  memory: {
    title: 'The graphics adapter has too little memory',
    text: 'Close other tabs and programs that use it, then try again. A model that is too big for this machine can be drawn with where there is more memory, by the star command.',
  },
  model: {
    title: 'The model could not be loaded',
    text: 'Check the connection and try again: what arrived broken is not kept.',
  },
  folder: {
    title: 'This folder’s model could not be loaded',
    text: 'A model’s folder holds star, vqvae and text, each with config.json and model.safetensors, and text/tokenizer.json. Copy the file that is named here again, or write the folder anew: star train and star convert make one.',
  },
  server: {
    title: 'The server did not draw',
    text: 'It is star serve that draws here. Its answer is below; try again when it runs and has time.',
  },
  token: {
    title: 'The server asks for a token',
    text: 'Whoever started star serve chose it. It is kept in this tab only, until that is closed, and never in a link.',
  },
  drawing: {
    title: 'Drawing stopped',
    text: 'Something went wrong while drawing. Try again; if it stays like this, reload the page.',
  },
};
