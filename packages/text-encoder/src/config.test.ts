import { describe, expect, it } from 'vitest';
import { formatTextConfig, parseTextConfig, publishedTextConfig, textConfig, type TextConfig } from './config.ts';

describe('textConfig', () => {
  it('fills in the published sizes', () => {
    expect(textConfig({ layers: 2 })).toEqual({ ...publishedTextConfig, layers: 2 });
  });

  it('lists every fault at once', () => {
    const given = { widht: 8, positions: 1, heads: 3, eosTokenId: -1 } as Partial<TextConfig>;
    expect(() => textConfig(given)).toThrow(
      'text: config must be valid, got unknown field widht; heads 3 instead of a divisor of the width that leaves a multiple of 4; ' +
        'positions 1 instead of an integer of at least 2; eosTokenId -1 instead of a token id. Correct these fields.',
    );
  });
});

describe('a config.json', () => {
  it('gives back the config that was written', () => {
    const config = textConfig({ width: 48, heads: 4, activation: 'quick_gelu', eosTokenId: 7 });
    expect(parseTextConfig(JSON.parse(JSON.stringify(formatTextConfig(config))) as Record<string, unknown>)).toEqual(
      config,
    );
  });

  it('may leave out what CLIP has by default, and hold what is of no use here', () => {
    expect(parseTextConfig({ hidden_size: 1024, num_attention_heads: 16, dropout: 0.1 })).toMatchObject({
      width: 1024,
      mlpWidth: 2048,
      layers: 12,
      activation: 'quick_gelu',
    });
  });
});
