import type { InceptionConfig } from './config.ts';

/** One convolution with batch norm and ReLU, by the name that published files give it. */
export interface Unit {
  readonly name: string;
  readonly in: number;
  readonly out: number;
  /** Height and width of the window. */
  readonly kernel: readonly [number, number];
  readonly stride: number;
  /** The picture keeps its size at stride 1. */
  readonly same: boolean;
}

/** What runs over the pictures before a branch's convolutions: a 3x3 window, at stride 1 with padding or at stride 2 without. */
export type BranchPool = 'average' | 'max' | 'max-stride-2';

/** A chain of units; `split` are two that read the chain's end side by side. */
export interface Branch {
  readonly pool?: BranchPool;
  readonly units: readonly Unit[];
  readonly split?: readonly [Unit, Unit];
}

/** Branches that read the same picture; their results are joined by channels. */
export interface Block {
  readonly name: string;
  readonly branches: readonly Branch[];
}

/** The network (Szegedy et al., 2015) in the order of its features. */
export interface InceptionLayout {
  /** Before the first pooling: its result, pooled, has 64 channels. */
  readonly stem: readonly Unit[];
  /** Before the second pooling: 192 channels. */
  readonly widen: readonly Unit[];
  /** Up to 768 channels. */
  readonly middle: readonly Block[];
  /** Up to 2048 channels. */
  readonly last: readonly Block[];
  /** Channels of the last features. */
  readonly features: number;
}

type Kernel = readonly [number, number];
type Step = readonly [name: string, out: number, kernel: Kernel, options?: { readonly stride: number }];

const one: Kernel = [1, 1];
const three: Kernel = [3, 3];
const wide: Kernel = [1, 7];
const tall: Kernel = [7, 1];
const halving = { stride: 2 } as const;

/** Units one after the other; windows at stride 2 take no padding. */
function chain(prefix: string, first: number, steps: readonly Step[]): Unit[] {
  return steps.map(([name, out, kernel, { stride } = { stride: 1 }], i) => ({
    name: `${prefix}${name}`,
    in: steps[i - 1]?.[1] ?? first,
    out,
    kernel,
    stride,
    same: stride === 1,
  }));
}

/** Builders of the blocks, for a width that divides channels and the number of channels that come in. */
interface Site {
  readonly name: string;
  readonly in: number;
  /** A published number of channels, divided. */
  readonly share: (channels: number) => number;
}

const branchOf =
  ({ name, in: channels, share }: Site) =>
  (...steps: readonly Step[]): Unit[] =>
    chain(
      `${name}.`,
      channels,
      steps.map(([suffix, out, ...rest]): Step => [`branch${suffix}`, share(out), ...rest]),
    );

/** 35x35: three window sizes and an average. */
function blockA(site: Site, pooled: number): Block {
  const branch = branchOf(site);
  return {
    name: site.name,
    branches: [
      { units: branch(['1x1', 64, one]) },
      { units: branch(['5x5_1', 48, one], ['5x5_2', 64, [5, 5]]) },
      { units: branch(['3x3dbl_1', 64, one], ['3x3dbl_2', 96, three], ['3x3dbl_3', 96, three]) },
      { pool: 'average', units: branch(['_pool', pooled, one]) },
    ],
  };
}

/** 35x35 to 17x17. */
function blockB(site: Site): Block {
  const branch = branchOf(site);
  return {
    name: site.name,
    branches: [
      { units: branch(['3x3', 384, three, halving]) },
      { units: branch(['3x3dbl_1', 64, one], ['3x3dbl_2', 96, three], ['3x3dbl_3', 96, three, halving]) },
      { pool: 'max-stride-2', units: [] },
    ],
  };
}

/** 17x17: windows of 7x7 as rows and columns. */
function blockC(site: Site, middle: number): Block {
  const branch = branchOf(site);
  return {
    name: site.name,
    branches: [
      { units: branch(['1x1', 192, one]) },
      { units: branch(['7x7_1', middle, one], ['7x7_2', middle, wide], ['7x7_3', 192, tall]) },
      {
        units: branch(
          ['7x7dbl_1', middle, one],
          ['7x7dbl_2', middle, tall],
          ['7x7dbl_3', middle, wide],
          ['7x7dbl_4', middle, tall],
          ['7x7dbl_5', 192, wide],
        ),
      },
      { pool: 'average', units: branch(['_pool', 192, one]) },
    ],
  };
}

/** 17x17 to 8x8. */
function blockD(site: Site): Block {
  const branch = branchOf(site);
  return {
    name: site.name,
    branches: [
      { units: branch(['3x3_1', 192, one], ['3x3_2', 320, three, halving]) },
      {
        units: branch(
          ['7x7x3_1', 192, one],
          ['7x7x3_2', 192, wide],
          ['7x7x3_3', 192, tall],
          ['7x7x3_4', 192, three, halving],
        ),
      },
      { pool: 'max-stride-2', units: [] },
    ],
  };
}

/** 8x8: windows of 3x3 as a row beside a column. */
function blockE(site: Site, pool: BranchPool): Block {
  const branch = branchOf(site);
  const split = (first: string, second: string): readonly [Unit, Unit] => {
    const fork = (suffix: string, kernel: Kernel): Unit =>
      branchOf({ ...site, in: site.share(384) })([suffix, 384, kernel])[0]!;
    return [fork(first, [1, 3]), fork(second, [3, 1])];
  };
  return {
    name: site.name,
    branches: [
      { units: branch(['1x1', 320, one]) },
      { units: branch(['3x3_1', 384, one]), split: split('3x3_2a', '3x3_2b') },
      { units: branch(['3x3dbl_1', 448, one], ['3x3dbl_2', 384, three]), split: split('3x3dbl_3a', '3x3dbl_3b') },
      { pool, units: branch(['_pool', 192, one]) },
    ],
  };
}

/** The layout for a config, with the changes of the FID network: averages leave padding out, and the last block pools by maximum. */
export function inceptionLayout({ channelDivisor }: InceptionConfig): InceptionLayout {
  const share = (channels: number): number => channels / channelDivisor;
  const at = (name: string, channels: number): Site => ({ name, in: share(channels), share });
  const unit = (name: string, [from, to]: readonly [number, number], kernel: Kernel, same: boolean): Unit => ({
    ...chain('', from === 3 ? 3 : share(from), [[name, share(to), kernel]])[0]!,
    same,
  });
  return {
    stem: [
      { ...unit('Conv2d_1a_3x3', [3, 32], three, false), stride: 2 },
      unit('Conv2d_2a_3x3', [32, 32], three, false),
      unit('Conv2d_2b_3x3', [32, 64], three, true),
    ],
    widen: [unit('Conv2d_3b_1x1', [64, 80], one, true), unit('Conv2d_4a_3x3', [80, 192], three, false)],
    middle: [
      blockA(at('Mixed_5b', 192), 32),
      blockA(at('Mixed_5c', 256), 64),
      blockA(at('Mixed_5d', 288), 64),
      blockB(at('Mixed_6a', 288)),
      blockC(at('Mixed_6b', 768), 128),
      blockC(at('Mixed_6c', 768), 160),
      blockC(at('Mixed_6d', 768), 160),
      blockC(at('Mixed_6e', 768), 192),
    ],
    last: [blockD(at('Mixed_7a', 768)), blockE(at('Mixed_7b', 1280), 'average'), blockE(at('Mixed_7c', 2048), 'max')],
    features: share(2048),
  };
}

/** Every unit of a layout, in the order of the published file. */
export function unitsOf({ stem, widen, middle, last }: InceptionLayout): Unit[] {
  const inBlocks = [...middle, ...last].flatMap(({ branches }) =>
    branches.flatMap(({ units, split = [] }) => [...units, ...split]),
  );
  return [...stem, ...widen, ...inBlocks];
}
