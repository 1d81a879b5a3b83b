/** The `padding` section of a tokenizer.json. */
export const paddingOf = (id: number, token: string): Record<string, unknown> => ({
  strategy: 'BatchLongest',
  direction: 'Right',
  pad_to_multiple_of: null,
  pad_id: id,
  pad_type_id: 0,
  pad_token: token,
});
