/**
 * A program that writes to a store on LMDB and says on standard output, by a system call of its own, which commits have
 * resolved: `node writing-child.js <directory> <commits>`. Each commit puts three rows that belong together.
 */
import { writeSync } from 'node:fs';
import { openLmdbStore } from '../../../services/region/store/lmdb-store.ts';

export const childOrigin = 'us-east@aaaaaaaaaa';

/** What commit `n` puts in its row of the batches: bytes over several pages, so that a torn commit shows. */
export function childBytes(n: number): Uint8Array {
  return new Uint8Array(9_000).fill(n & 255);
}

async function write(path: string, commits: number): Promise<void> {
  const store = openLmdbStore({ path });
  for (let n = 1; n <= commits; n++) {
    await store.commit((transaction) => {
      transaction.put('batches', [childOrigin, n], childBytes(n));
      transaction.put('items', n, Buffer.from(`item ${n}`));
      transaction.put('marks', 'last', Buffer.from(String(n)));
    });
    writeSync(1, `resolved ${n}\n`);
  }
  await store.close();
}

const [, program, path, commits] = process.argv;
if (program?.endsWith('writing-child.js') && path !== undefined) await write(path, Number(commits ?? 1));
