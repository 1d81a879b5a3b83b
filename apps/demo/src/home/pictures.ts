/** The rows of pictures.webp, one a prompt; its columns are the scales. */
export const homePrompts = [
  'sunflower',
  'panda',
  'birthday cake',
  'lion',
  'red apple',
  'broccoli',
  'doughnut',
  'octopus',
] as const;

/** The seed that they are drawn with. */
export const homeSeed = 42;
