/**
 * A second process on a store on LMDB: `node second-process.js <directory>`, which receives over its pipe what to write. It opens
 * the environment without checking whether another process has it open, as two processes do that start at the same time.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { openLmdbStore } from '../../../services/region/store/lmdb-store.ts';
import { Fault } from '../../../shared/errors/errors.ts';
import type { SecondProcess } from '../region/store/store-contract.ts';
import { watchChild } from './children-watch.ts';

interface Order {
  readonly kind: 'put' | 'remove';
  readonly name: string;
}

export async function secondProcess(path: string): Promise<SecondProcess> {
  const child = fork(fileURLToPath(import.meta.url), [path], { serialization: 'json' });
  watchChild('a second process on the store', child);
  const [opened] = (await once(child, 'message')) as [unknown];
  if (opened !== 'open') throw new Error(`the second process said ${String(opened)}`);
  return {
    put: (name) => order(child, { kind: 'put', name }),
    remove: (name) => order(child, { kind: 'remove', name }),
    async kill() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function order(child: ChildProcess, work: Order): Promise<string | undefined> {
  const answered = once(child, 'message');
  child.send(work);
  const [{ code }] = (await answered) as [{ readonly code?: string }];
  return code;
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const store = openLmdbStore({ path: process.argv[2]! });
  process.on('message', ({ kind, name }: Order) => {
    store
      .commit((transaction) =>
        kind === 'put' ? transaction.put('marks', name, Buffer.from(name)) : transaction.remove('marks', name),
      )
      .then(
        () => process.send?.({}),
        (error: unknown) => process.send?.({ code: error instanceof Fault ? error.code : String(error) }),
      );
  });
  process.send('open');
}
