/** The rows of pictures.webp, one a prompt; its columns are the scales. */
export const homePrompts = [
  'octopus',
  'sunflower',
  'birthday cake',
  'red apple',
  'panda',
  'broccoli',
  'doughnut',
  'lion',
] as const;

/** The seed that they are drawn with. */
export const homeSeed = 42;
