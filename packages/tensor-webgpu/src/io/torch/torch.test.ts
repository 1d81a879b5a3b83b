import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import {
  archiveParts,
  legacyTorchParts,
  partsBytes,
  torchParts,
  type Written,
  WrittenFloat,
  WrittenOrdered,
  type WrittenStorage,
  WrittenTensor,
  writtenTensor,
  WrittenTuple,
} from '../../testing/torch-writer.ts';
import { hostFloats, hostTensor, type HostTensor, storedBytes } from '../host-tensor.ts';
import { openSafetensors } from '../safetensors.ts';
import { bytesSource } from '../source.ts';
import { readStored } from '../stored-tensor.ts';
import { openTorch, tensorsIn, torchAt, TorchFileError, TorchName, TorchTensor, type TorchValue } from './index.ts';

const golden = (name: string): Promise<Uint8Array> =>
  readFile(new URL(`../../../test/golden/${name}`, import.meta.url));

async function readAll(value: TorchValue | undefined): Promise<Map<string, HostTensor>> {
  const found = new Map<string, HostTensor>();
  for (const [name, tensor] of tensorsIn(value)) found.set(name, await readStored(tensor));
  return found;
}

const F32 = (...values: number[]): WrittenTensor =>
  writtenTensor(hostTensor(Float32Array.from(values), [values.length]));

/** The file of a state_dict with one tensor. */
const small = (): Uint8Array => partsBytes(torchParts(new WrittenOrdered([['w', F32(1, 2)]])));

/** An archive around a pickle of some opcodes. */
const archive = (opcodes: string): Uint8Array =>
  partsBytes(archiveParts(new Map([['archive/data.pkl', Buffer.from(`\u0080\u0002${opcodes}.`, 'latin1')]])));

describe('torch files', () => {
  it.each([
    ['checkpoint.pth', ['trainer', 'var_wo_ddp'], 'zip'],
    ['checkpoint_legacy.pth', [], 'legacy'],
  ])(
    '%s holds what torch saved, bit for bit: shared storages, views, halves, whole numbers, booleans, 0-d',
    async (name, path, format) => {
      const file = await openTorch(await golden(name));
      expect(file.format).toBe(format);
      const want = await openSafetensors(await golden('checkpoint_expected.safetensors'));
      const got = await readAll(torchAt(file.value, ...path));
      expect([...got.keys()].toSorted()).toEqual([...want.keys()].toSorted());
      for (const [tensor, stored] of want) {
        const kept = await readStored(stored);
        expect(got.get(tensor)!.shape).toEqual(kept.shape);
        expect(hostFloats(got.get(tensor)!)).toEqual(hostFloats(kept));
      }
      expect(['half', 'bf16', 'int64', 'bool', 'f64'].map((tensor) => got.get(tensor)!.dtype)).toEqual([
        'F16',
        'BF16',
        'I64',
        'BOOL',
        'F64',
      ]);
    },
  );

  it('reads numbers, texts, tuples, booleans and None beside the tensors', async () => {
    const { value } = await openTorch(await golden('checkpoint.pth'));
    expect(torchAt(value, 'epoch')).toBe(3);
    expect(torchAt(value, 'trainer', 'config')).toEqual(
      new Map<string, unknown>([
        ['patch_nums', [1, 2, 3]],
        ['label_smooth', 0],
        ['first_prog', true],
        ['note', null],
      ]),
    );
    expect([...tensorsIn(torchAt(value, 'trainer', 'var_opt')).keys()]).toEqual([
      'optimizer.state.0.step',
      'optimizer.state.0.exp_avg',
    ]);
  });

  it('refuses a file that calls a system command, by its name, and runs nothing', async () => {
    await expect(openTorch(await golden('checkpoint_evil.pth'))).rejects.toThrow(
      'torch: global "posix.system" must be a type of tensors or plain values. Nothing was run. Save the state_dict alone, and trust no file that asks for more.',
    );
    expect(existsSync('/tmp/pwned-by-checkpoint')).toBe(false);
  });

  it.each([
    ['c__builtin__\neval\n', 'global "__builtin__.eval"'],
    ['c__builtin__\ngetattr\n', 'global "__builtin__.getattr"'],
    ['cos\nsystem\n', 'global "os.system"'],
    ['ctorch._utils\n_rebuild_sparse_tensor\n', 'global "torch._utils._rebuild_sparse_tensor"'],
    ['(ios\nsystem\n', 'opcode INST at byte 3'],
    ['\u0082\u0001', 'opcode EXT1 at byte 2'],
    ['P0\n', 'opcode PERSID at byte 2'],
    ['\u00ff', 'opcode 0xff at byte 2'],
    ['ctorch\nFloatStorage\n)R', 'only functions of the list can be called, got torch.FloatStorage'],
    ['Nb', 'pickle must have a value at byte 4'],
    ['t', 'pickle must have a mark at byte 3'],
    ['h\u0007', 'pickle must remember value 7'],
    ['K\u0001K\u0002a', 'pickle must append to a list'],
    ['\u008b\u00ff\u00ff\u00ff\u007f', 'whole numbers must have at most 64 bytes, got 2147483647'],
  ])('refuses the pickle %j by name', async (pickle, message) => {
    await expect(openTorch(archive(pickle))).rejects.toThrow(message);
  });

  it('takes configs and counters as published checkpoints hold them', async () => {
    const pickles: [string, unknown][] = [
      ['cargparse\nNamespace\n)\u0081}X\u0001\u0000\u0000\u0000aK\u0007sb', new Map([['a', 7]])],
      ['ccollections\ndefaultdict\nc__builtin__\nlist\n\u0085R', new Map()],
      ['ctorch\nSize\nK\u0002K\u0003\u0086\u0085R', [2, 3]],
      ['ctorch\ndevice\nX\u0004\u0000\u0000\u0000cudaK\u0000\u0086R', 'cuda:0'],
      ['ctorch\nfloat16\n', new TorchName('torch.float16')],
      [
        'c_codecs\nencode\nX\u0003\u0000\u0000\u0000abcX\u0006\u0000\u0000\u0000latin1\u0086R',
        new Uint8Array([97, 98, 99]),
      ],
      ['\u008a\u0009\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0001', 2n ** 64n],
      ['J\u00ff\u00ff\u00ff\u00ff', -1],
      ['\u008a\u0001\u00ff', -1],
    ];
    for (const [pickle, want] of pickles) expect((await openTorch(archive(pickle))).value).toEqual(want);
  });

  it.each([
    ['an empty file', new Uint8Array(0), 'got an empty file'],
    ['a web page', new TextEncoder().encode('<!DOCTYPE html><html>'), 'got a web page. Download the file itself'],
    ['a pointer of Git LFS', new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\n'), 'Git LFS'],
    ['a plain pickle', Uint8Array.of(0x80, 4, 0x4e, 0x2e), 'got another pickle. Save it again with torch.save'],
    [
      'an archive cut short',
      small().subarray(0, 500),
      'archive must end with a directory, got none. The archive is damaged',
    ],
  ])('refuses %s by name', async (_, bytes, message) => {
    await expect(openTorch(bytes)).rejects.toThrow(TorchFileError);
    await expect(openTorch(bytes)).rejects.toThrow(message);
  });

  it('refuses a DEFLATEd archive by name', async () => {
    const bytes = small();
    const at = Buffer.from(bytes).indexOf('PK\u0001\u0002');
    bytes[at + 10] = 8;
    await expect(openTorch(bytes)).rejects.toThrow(
      '"archive/data.pkl" must be stored, got compression method 8 (DEFLATE). Save the checkpoint with torch.save, which does not compress.',
    );
  });

  it('refuses a TorchScript program by name', async () => {
    const names = ['x/data.pkl', 'x/code/__torch__.py', 'x/constants.pkl'];
    const program = archiveParts(new Map(names.map((name) => [name, Uint8Array.of(0x80, 2, 0x4e, 0x2e)])));
    await expect(openTorch(partsBytes(program))).rejects.toThrow(
      'got a TorchScript program. Load it in PyTorch and save',
    );
  });

  it('finds a flipped bit in a tensor by its checksum', async () => {
    const bytes = small();
    const at = Buffer.from(bytes).indexOf(Buffer.from(Float32Array.of(1, 2).buffer));
    bytes[at]! ^= 1;
    const { value } = await openTorch(bytes);
    await expect(readAll(value)).rejects.toThrow('storage "0" must have the checksum');
  });

  it('refuses views that leave their storage and views that repeat elements to more than the file holds', async () => {
    const storage: WrittenStorage = { dtype: 'F32', elements: 4, values: new Uint8Array(16) };
    const open = (view: { shape: number[]; strides?: number[]; offset?: number }): Promise<unknown> =>
      openTorch(partsBytes(torchParts(new WrittenTensor(storage, view))));
    await expect(open({ shape: [2, 2], offset: 1 })).rejects.toThrow(
      'must end inside storage "0" of 16 bytes, got byte 20',
    );
    await expect(open({ shape: [100_000], strides: [0] })).rejects.toThrow('must not be larger than its file');
    await expect(open({ shape: [1, 4], strides: [9, 1] })).resolves.toBeDefined();
    await expect(open({ shape: [0, 4], offset: 4 })).resolves.toBeDefined();
  });

  it('stops at nested lists that would unfold without end', async () => {
    let bomb: Written = [1];
    for (let i = 0; i < 40; i++) bomb = [bomb, bomb];
    const { value } = await openTorch(partsBytes(torchParts(bomb)));
    expect(() => tensorsIn(value)).toThrow('values must be nested at most 64 deep and number at most 2000000.');
  });
});

/** The value that checkpoint.pth was saved from, over the storages that it holds. */
async function goldenValue(): Promise<Written> {
  const bytes = await golden('checkpoint.pth');
  const { value } = await openTorch(bytes);
  const storages = new Map<TorchTensor['storage'], WrittenStorage>();
  const written = async ({ dtype, storage, ...view }: TorchTensor): Promise<WrittenTensor> => {
    const elements = storage.bytes / storedBytes[dtype];
    const whole = new TorchTensor(bytesSource(bytes), storage, { dtype, shape: [elements], strides: [1], offset: 0 });
    const values = (await readStored(whole)).bytes;
    if (!storages.has(storage)) storages.set(storage, { dtype, elements, values });
    return new WrittenTensor(storages.get(storage)!, view);
  };
  const tensors = new Map<string, WrittenTensor>();
  for (const [name, tensor] of tensorsIn(value)) tensors.set(name, await written(tensor));
  const under = (path: string): [string, WrittenTensor][] =>
    [...tensors].filter(([name]) => name.startsWith(path)).map(([name, tensor]) => [name.slice(path.length), tensor]);
  const group = new Map<string, Written>([
    ['lr', 1e-4],
    ['betas', new WrittenTuple([0.9, 0.95])],
    ['params', [0]],
  ]);
  const optimizer = new Map<string, Written>([
    ['state', new Map([[0, new Map(under('trainer.var_opt.optimizer.state.0.'))]])],
    ['param_groups', [group]],
  ]);
  const config = new Map<string, Written>([
    ['patch_nums', new WrittenTuple([1, 2, 3])],
    ['label_smooth', new WrittenFloat(0)],
    ['first_prog', true],
    ['note', null],
  ]);
  const trainer = new Map<string, Written>([
    ['config', config],
    ['var_wo_ddp', new WrittenOrdered(under('trainer.var_wo_ddp.'))],
    ['vae_local', new WrittenOrdered()],
    ['var_opt', new Map([['optimizer', optimizer]])],
  ]);
  return new Map<string, Written>([
    ['epoch', 3],
    ['iter', 0],
    ['trainer', trainer],
  ]);
}

describe('the writer of torch files for tests', () => {
  it('writes checkpoint.pth byte for byte as torch did', async () => {
    const want = await golden('checkpoint.pth');
    expect(Buffer.compare(partsBytes(torchParts(await goldenValue(), 'checkpoint')), want)).toBe(0);
  });

  it('writes the older format so that it reads back', async () => {
    const file = await openTorch(partsBytes(legacyTorchParts(await goldenValue())));
    const want = await readAll((await openTorch(await golden('checkpoint.pth'))).value);
    expect(file.format).toBe('legacy');
    expect(await readAll(file.value)).toEqual(want);
  });
});
