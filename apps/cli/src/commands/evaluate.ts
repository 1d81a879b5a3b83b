import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { compareReports, jsonReport, markdownTable, parseEvaluation } from '@star-webgpu/metrics';
import { openSession } from '../device.ts';
import { openContext } from '../evaluate/context.ts';
import { layers } from '../evaluate/features.ts';
import { type EvaluateFlags, planOf } from '../evaluate/plan.ts';
import { reportAll } from '../evaluate/report.ts';
import { runAll } from '../evaluate/run.ts';
import { measureTokenizer, type TokenizerFlags } from '../evaluate/tokenizer.ts';
import { numberIn, wholeNumber } from '../numbers.ts';
import { print, say } from '../output.ts';
import { withSamplingFlags } from '../sampling-flags.ts';

/** Adds `star evaluate`, `star evaluate compare` and `star evaluate tokenizer`. */
export function addEvaluate(program: Command): void {
  const evaluate = program
    .command('evaluate')
    .description('measure pictures: of a model, of folders, of packs')
    .option(
      '--pack <file>',
      'draw its captions and compare with its pictures; 200 of them unless --take says otherwise',
    )
    .option(
      '--prompts <source>',
      'draw these: a file with one a line, meta_data.json of MJHQ-30K, COCO captions, metadata.jsonl of GenEval, a folder of DPG-Bench, a pack; with --samples the prompts of those',
    )
    .option('--samples <source>', 'measure these instead of drawing: a folder of PNG files, a pack, statistics (.npz)')
    .option('--references <source>', 'compare with these: a folder, a pack, statistics (.npz)')
    .option(
      '--metrics <names>',
      'fid,kid,is,pr,clip,psnr,ssim,lpips,codebook,retrieval; by default all that what is given allows',
      names,
    )
    .option('--inception <folder>', 'weights for fid, kid, is, pr')
    .option('--clip <folder>', 'weights for clip')
    .option('--lpips <folder>', 'weights for lpips')
    .option('--model <folder>', 'a trained model; the emoji model that comes along by default')
    .option('--keys-file <file>', 'only these keys of the pack, one a line')
    .option('--take <number>', 'at most so many pictures or prompts', wholeNumber(1));
  withSamplingFlags(evaluate, { seed: 1 })
    .option('--cfg-sweep <strengths>', 'draw and measure with each of these guidances', strengths)
    .addOption(new Option('--layer <channels>', 'layer of the Inception features').choices(layers).default('2048'))
    .option('--splits <number>', 'splits of the inception score', wholeNumber(1), 10)
    .option('--batch <number>', 'pictures at a time', wholeNumber(1), 8)
    .option('--save-statistics <file>', 'write statistics of the references, or of the samples, for pytorch-fid (.npz)')
    .option('--title <text>', 'title of the report')
    .option(
      '--out <folder>',
      'keep pictures and features here and write report.html and report.json; the same command goes on after a stop',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  star evaluate --pack data/emoji.lmdb --keys-file recipes/tiny/keys.txt\n  star evaluate --samples mine/ --references data/emoji.lmdb --inception weights/inception --out runs/fid\n  star evaluate --prompts meta_data.json --references mjhq/ --inception weights/inception --clip weights/clip --model runs/star --out runs/mjhq',
    )
    .action(runEvaluate);
  evaluate
    .command('compare')
    .argument('<first>', 'report.json of one evaluation')
    .argument('<second>', 'report.json of another')
    .description('compare two evaluations, metric by metric')
    .addHelpText('after', '\nExample:\n  star evaluate compare runs/a/report.json runs/b/report.json')
    .action(runCompare);
  evaluate
    .command('tokenizer')
    .argument('<folder>', 'a VQVAE: the model that star train vqvae made, or the vqvae folder of a whole model')
    .description('how well a VQVAE keeps pictures, and how it uses its codebook, scale by scale')
    .requiredOption('--pictures <source>', 'a folder of pictures or a pack')
    .option('--side <pixels>', 'compare at this side; that of the VQVAE by default', wholeNumber(11))
    .addHelpText('after', '\nExample:\n  star evaluate tokenizer runs/emoji-vqvae/model --pictures data/emoji.lmdb')
    .action(runTokenizer);
}

const names = (text: string): string[] =>
  text
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);

function strengths(text: string): number[] {
  const values = text.split(',').map(numberIn(0, 100));
  if (new Set(values).size === values.length) return values;
  throw new InvalidArgumentError('Each strength must be given once.');
}

async function runEvaluate(_: unknown, command: Command): Promise<void> {
  const flags = command.optsWithGlobals<EvaluateFlags>();
  const context = await openContext(flags, planOf(flags));
  try {
    say(`adapter: ${context.session.description}`);
    await reportAll(context, await runAll(context));
  } finally {
    await context.close();
  }
}

async function runTokenizer(folder: string, _: unknown, command: Command): Promise<void> {
  const flags = command.optsWithGlobals<TokenizerFlags & { readonly adapter?: string; readonly json?: boolean }>();
  const session = await openSession(flags.adapter);
  try {
    const rows = await measureTokenizer(folder, flags);
    const shown = rows.map(({ name, value, protocol }) => ({ metric: name, value, protocol }));
    print(flags.json ? jsonReport(rows) : markdownTable(shown));
  } finally {
    await session.close();
  }
}

async function runCompare(first: string, second: string, _: unknown, command: Command): Promise<void> {
  const { json } = command.optsWithGlobals<{ readonly json?: boolean }>();
  const [a, b] = await Promise.all(
    [first, second].map(async (file) => parseEvaluation(await readFile(file, 'utf8'), file)),
  );
  const rows = compareReports(a!, b!);
  if (!rows.length)
    throw new Error(`evaluate compare: reports must share a metric, got none of ${first} in ${second}.`);
  print(
    json
      ? JSON.stringify(rows)
      : markdownTable(
          rows.map(({ sameProtocol, ...row }) => ({ ...row, protocol: sameProtocol ? 'the same' : 'different' })),
        ),
  );
  if (rows.some(({ sameProtocol }) => !sameProtocol))
    say('Where protocols differ, so may the numbers: see both reports.');
}
