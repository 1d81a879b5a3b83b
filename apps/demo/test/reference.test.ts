import { describe, expect, it } from 'vitest';
import { referenceEntries } from '../build/reference-entries.ts';
import { tidied } from '../build/reference.ts';
import { withoutDetails } from '../build/search.ts';

const page = `### add() {#add}

\`\`\`ts
function add(x: Operand): Tensor;
\`\`\`

Defined in: [ops/elementwise.ts:72](https://example.org/elementwise.ts#L72)

x + z.

#### Parameters

| Parameter | Type | Default value |
| :------ | :------ | :------ |
| \`x\` | [\`Operand\`](#operand) | \`undefined\` |

#### Overrides

\`Error.constructor\`

***

### sub() {#sub}

##### of() {#of}
`;

describe('the reference', () => {
  it('has a page for everything that may be imported, lower layers first', () => {
    const pages = referenceEntries().map((entry) => entry.page);
    expect(pages).toEqual(
      expect.arrayContaining(['tensor-webgpu/node', 'vqvae/scales', 'metrics/testing', 'model-emoji']),
    );
    expect(pages.indexOf('tensor-webgpu')).toBeLessThan(pages.indexOf('sampler'));
    expect(new Set(pages).size).toBe(pages.length);
  });

  it('has names for headings, and no lines between them', () => {
    expect(tidied(page).match(/^(#|\*).*$/gm)).toEqual([
      '### add() {#add}',
      '**Parameters**',
      '### sub() {#sub}',
      '#### of() {#of}',
    ]);
  });

  it('says nothing where a default is missing', () => {
    expect(tidied(page)).toContain('| `x` | [`Operand`](#operand) | |');
  });
});

it('search finds names of the reference and what is said of them', () => {
  const words = withoutDetails(tidied(page)).split('\n').filter(Boolean);
  expect(words).toEqual(['### add() {#add}', 'x + z.', '### sub() {#sub}', '#### of() {#of}']);
});
