// Writes files through to the disk and takes their digests, on a thread of its own: neither keeps the device waiting.
// Plain JavaScript, because a thread is started of the file as it is, from source too.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { parentPort } from 'node:worker_threads';

/**
 * @param {string} path
 * @param {readonly Uint8Array[]} pieces
 * @returns {Promise<string>}
 */
async function writeThrough(path, pieces) {
  const hash = createHash('sha256');
  const file = await open(path, 'w');
  try {
    for (const piece of pieces) {
      hash.update(piece);
      await file.writeFile(piece);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

parentPort?.on('message', async ({ id, path, pieces }) => {
  try {
    parentPort?.postMessage({ id, digest: await writeThrough(path, pieces) });
  } catch (error) {
    parentPort?.postMessage({ id, fault: error instanceof Error ? error.message : String(error) });
  }
});
