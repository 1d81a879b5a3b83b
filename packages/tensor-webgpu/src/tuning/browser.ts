/**
 * Tuning in browsers, kept in IndexedDB.
 * @module
 */

import type { Device } from '../device/device.ts';
import { gemmProblem } from '../ops/gemm.ts';
import { useTuning } from '../ops/gemm-plan.ts';
import type { TuningProblem } from './operands.ts';
import { problemKey } from './keys.ts';
import { adapterKey, parseTuning, seedTuning, type TuningFound, tuningJson, type TuningTable } from './table.ts';
import { tune, type TuneOptions } from './tune.ts';

const databaseName = 'star-webgpu';
const storeName = 'tuning';
const databaseVersion = 1;

/** The result of a request to IndexedDB. */
const resultOf = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error!);
  });

/** Runs something on this origin's texts of tables by `adapterKey`, in one transaction: nobody else writes meanwhile. */
async function withTexts<T>(mode: IDBTransactionMode, run: (texts: IDBObjectStore) => Promise<T>): Promise<T> {
  const opening = indexedDB.open(databaseName, databaseVersion);
  opening.onupgradeneeded = () => void opening.result.createObjectStore(storeName);
  const database = await resultOf(opening);
  try {
    const transaction = database.transaction(storeName, mode);
    const done = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error!);
    });
    const [result] = await Promise.all([run(transaction.objectStore(storeName)), done]);
    return result;
  } finally {
    database.close();
  }
}

/** The table that this origin keeps for a device's adapter and driver, why it cannot be used, or undefined where there is none. @throws DOMException where the browser keeps nothing, as in some private windows */
export async function readTuning(device: Device): Promise<TuningFound | undefined> {
  const text: unknown = await withTexts('readonly', (texts) => resultOf(texts.get(adapterKey(device))));
  return text === undefined ? undefined : parseTuning(String(text), device);
}

/** Keeps a table for this origin, as JSON like that of Node's file: what was measured before stays, unless it is damaged. @throws DOMException where the browser keeps nothing */
export async function writeTuning(device: Device, table: TuningTable): Promise<void> {
  await withTexts('readwrite', async (texts) => {
    const former: unknown = await resultOf(texts.get(table.adapter));
    const usable = former !== undefined && 'table' in parseTuning(String(former), device);
    await resultOf(texts.put(tuningJson(table, usable ? String(former) : ''), table.adapter));
  });
}

/** Puts the kept table to use, or the one that comes with the package: for a page that has just made its device. A browser that keeps nothing is no failure. */
export async function loadTuning(device: Device): Promise<void> {
  const found = await readTuning(device).catch(() => undefined);
  useTuning(device, found && 'table' in found ? found.table : seedTuning(device));
}

/**
 * Measures the problems that the kept table lacks, keeps what was found and puts the whole table to use: nothing is measured twice by an origin on one adapter and driver.
 * The device must be idle and the one in use. Resolves to the table.
 * @throws as `tune` does, and DOMException where the browser keeps nothing
 */
export async function tuneOnce(
  device: Device,
  problems: readonly TuningProblem[],
  options: TuneOptions = {},
): Promise<TuningTable> {
  const found = await readTuning(device);
  const kept = found && 'table' in found ? found.table.entries : [];
  const known = new Set(kept.map(({ problem }) => problemKey(problem)));
  const missing = problems.filter((problem) => !known.has(problemKey(gemmProblem(problem, problem.dtype))));
  const measured = await tune(device, missing, options);
  if (missing.length) await writeTuning(device, measured);
  const table = { ...measured, entries: [...kept, ...measured.entries] };
  useTuning(device, table);
  return table;
}
