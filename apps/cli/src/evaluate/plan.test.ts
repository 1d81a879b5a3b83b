import { describe, expect, it } from 'vitest';
import { type EvaluateFlags, planOf } from './plan.ts';

const base: EvaluateFlags = { layer: '2048', splits: 10, seed: 1, batch: 8 };
const weights = { inception: 'a', clip: 'b', lpips: 'c' };

describe('planOf', () => {
  it.each([
    [{ pack: 'x.lmdb' }, ['psnr', 'ssim', 'codebook', 'retrieval']],
    [
      { pack: 'x.lmdb', ...weights },
      ['fid', 'kid', 'is', 'pr', 'clip', 'psnr', 'ssim', 'lpips', 'codebook', 'retrieval'],
    ],
    [{ prompts: 'p.txt' }, []],
    [{ prompts: 'p.txt', ...weights }, ['is', 'clip']],
    [{ prompts: 'p.txt', references: 'r.npz', ...weights }, ['fid', 'is', 'clip']],
    [{ samples: 's', references: 'r', inception: 'a' }, ['fid', 'kid', 'is', 'pr']],
    [{ samples: 's', references: 'r', metrics: ['psnr', 'ssim'] }, ['psnr', 'ssim']],
  ])('%j measures %j', (flags, metrics) => {
    expect([...planOf({ ...base, ...flags }).metrics]).toEqual(metrics);
  });

  it('says which metrics something is wanted for', () => {
    expect(planOf({ ...base, pack: 'x.lmdb' }).leftOut).toEqual([
      'fid, kid, is, pr (want --inception)',
      'clip (want --clip)',
      'lpips (want --lpips)',
    ]);
    expect(planOf({ ...base, prompts: 'p.txt', references: 'r.npz', ...weights }).leftOut).toEqual([
      'kid, pr, lpips (want --references (pictures) or --pack)',
    ]);
  });

  it.each([
    [
      {},
      'evaluate: give pictures by --samples, or what to draw by --pack or --prompts, got none of them. See star evaluate --help.',
    ],
    [{ samples: 's', metrics: ['clip'] }, 'https://huggingface.co/openai/clip-vit-large-patch14'],
    [{ samples: 's', metrics: ['lpips'] }, 'Without any weights: psnr, ssim, codebook, retrieval.'],
    [
      { samples: 's', metrics: ['beauty'] },
      'evaluate: --metrics must be some of fid, kid, is, pr, clip, psnr, ssim, lpips, codebook, retrieval, got beauty. Separate them by commas.',
    ],
    [{ samples: 's', inception: 'i', metrics: ['fid'] }, 'evaluate: fid needs --references or --pack, got none.'],
    [{ samples: 's', clip: 'i', metrics: ['clip'] }, 'evaluate: clip needs --prompts or --pack, got none.'],
    [
      { samples: 's', references: 'r', metrics: ['codebook'] },
      'evaluate: codebook needs a model that draws (no --samples), got none.',
    ],
    [
      { samples: 's', pack: 'p' },
      'evaluate: --pack is prompts and references in one, got others beside it. Use --prompts and --references, which take packs as well.',
    ],
    [{ samples: 's', cfg: 2 }, 'evaluate: --model and --cfg are for drawing, got them with --samples. Leave one out.'],
    [
      { prompts: 'p', cfg: 2, cfgSweep: [1, 2] },
      'evaluate: --cfg is one guidance and --cfg-sweep several, got both. Leave one out.',
    ],
  ])('%j is refused, with what to do', (flags, message) => {
    expect(() => planOf({ ...base, ...flags })).toThrow(message);
  });
});
