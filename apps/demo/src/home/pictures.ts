/** The rows of pictures.webp, one a prompt; its columns are the scales. */
export const homePrompts = [
  'sunflower',
  'frog',
  'red heart',
  'rainbow',
  'police car',
  'star',
  'smiling face with sunglasses',
  'ghost',
] as const;

/** The seed that they are drawn with. */
export const homeSeed = 42;
