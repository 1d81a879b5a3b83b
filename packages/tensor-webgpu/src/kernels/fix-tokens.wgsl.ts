import { defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';

interface FixTokensSpec extends Readonly<Record<string, number | string | boolean>> {
  /** Only open tokens compete; else all, and fixed ones take their places up. */
  readonly openOnly: boolean;
}

/**
 * y[r, t] = drawn[r, t] if tokens[r, t] is open and fewer than `count` competitors of its row have a higher score, or as high a one at a lower t;
 * else tokens[r, t].  tokens, drawn, y: [R, l], scores: [R, l].  One invocation a token: it counts its betters, so that no sort is needed.
 */
export const fixTokensKernel: Kernel<FixTokensSpec> = defineKernel<FixTokensSpec>({
  name: 'fix-tokens',
  bindings: { tokens: 'read u32', drawn: 'read u32', scores: 'read f32', y: 'write u32' },
  uniforms: { size: 'u32', length: 'u32', count: 'u32', open: 'u32' },
  code: ({ openOnly }) => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let flat = (${flatGroup}) * 64u + local;
  if (flat >= u.size) { return; }
  let token = tokens[flat];
  if (token != u.open) { y[flat] = token; return; }
  let first = flat - flat % u.length;
  let mine = scores[flat];
  var betters = 0u;
  for (var i = first; i < first + u.length; i++) {
    let better = (scores[i] > mine) | ((scores[i] == mine) & (i < flat));
    betters += select(0u, 1u, better${openOnly ? ' & (tokens[i] == u.open)' : ''});
  }
  y[flat] = select(token, drawn[flat], betters < u.count);
}`,
  examples: [{ openOnly: true }, { openOnly: false }],
});
