/**
 * Removes events from the future from windows, decay and creation times of a region that does not run. The resulting state cannot
 * be rebuilt from its log: it is a new base, marked as one (`services/region/mended/mended.ts`), which the other regions adopt as
 * a snapshot, and on which all of them apply the same log.
 *
 * Order of effects: the mark `mending`, with the time → the recovered ledger, mended, shard by shard, and the checkpoint that
 * covers everything → items → idempotency records → the mark `mended` → `mending` is removed. What a crash leaves in between: a
 * directory that does not start before the command was run again, which continues with the same time; each step is idempotent.
 */

import { checkpointMark, packShard, readCheckpointPosition } from '../../services/region/checkpoint/checkpoint.ts';
import { type Mended, mendedOf } from '../../services/region/mended/mended.ts';
import { recover } from '../../services/region/recover/recover.ts';
import type { Schema } from '../../services/region/schema/schema.ts';
import { createRegisters } from '../../services/region/state/catalog/registers.ts';
import { type Copy, counting, MENDED_EPOCH } from '../../services/region/state/keys/keys.ts';
import { SHARDS } from '../../services/region/state/ledger/ledger.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import type { Store, StoreTables, StoreTransaction, TableName } from '../../services/region/store/store.ts';
import { decodeItem, encodeItem } from '../../services/region/wal/documents.ts';
import { decodeEarlierCopies, encodeCopies, KeyRow, type WriteCopy } from '../../services/region/wal/key-rows.ts';
import { openLog } from '../../services/region/wal/log.ts';
import { CheckedStore } from '../../services/region/wal/row-checksums.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { type Clock, type Random, randomName } from '../../shared/kernel/kernel.ts';
import type { Steps } from '../../shared/kernel/steps.ts';
import type { Log } from '../../shared/observe/log.ts';
import { keyIdOf, writeIndexOf } from '../../shared/protocol/idempotency.ts';

/** Maximum rows of one transaction; at least one. */
const STEP_ROWS = 1_000;
const STEP_BYTES = 4 * 1024 * 1024;
const PAIRS_AT_ONCE = 10_000;

export interface MendOptions {
  /** The store, open only in this process. It stays open. */
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly schema: Schema;
  /** Events after this time, epoch ms, are in the future. */
  readonly upToMs: number;
}

export interface MendReport {
  readonly upToMs: number;
  /** (item, signal) pairs, and items, with events from the future. */
  readonly pairs: number;
  readonly items: number;
  /** Undefined if there were none, and nothing changed. */
  readonly mended: Mended | undefined;
}

export async function mendStore({
  store: plain,
  clock,
  random,
  log,
  schema,
  upToMs: given,
}: MendOptions): Promise<MendReport> {
  const wal = openLog({ store: plain });
  const store = new CheckedStore(plain);
  if ((wal.mark('catching_up') ?? false) !== false) {
    throw new ConfigError('this region had not caught up with its peers: mend another one');
  }
  const { upToMs } = (wal.mark('mending') || { upToMs: given }) as { upToMs: number };
  await wal.storeMark('mending', { upToMs });

  const ledger = createLedger({ schema });
  const none = function* (): Steps {};
  const noIndex = { putting: none, removing: none, adopt() {} };
  recover({ clock, log, wal, catalog: createRegisters(), ledger, filterIndex: noIndex, text: noIndex });
  const pairs = ledger.withoutFuture(upToMs);
  const before = mendedOf(wal.mark('mended'));
  const future = wal
    .origins()
    .filter(({ origin, newestMs }) => newestMs > Math.max(upToMs, before?.future[origin] ?? 0));
  if (pairs === 0 && future.length === 0) {
    await wal.storeMark('mending', false);
    return { upToMs, pairs, items: 0, mended: undefined };
  }
  const pass = ledger.pass();
  while (!pass.prepare(PAIRS_AT_ONCE));
  const { position: floor } = readCheckpointPosition(wal.mark('checkpoint'));
  for (let shard = 0; shard < SHARDS; shard++) {
    await wal.storeShard(shard, packShard(pass.encode(shard), wal.durable, floor));
  }
  await wal.storeMark('checkpoint', checkpointMark({ position: wal.durable, atMs: upToMs }));

  const items = await changeRows(store, 'items', (key, value) => {
    const { createdMs, updatedMs, ...rest } = decodeItem(value);
    if ((createdMs ?? 0) <= upToMs && updatedMs <= upToMs) return undefined;
    const created = createdMs === undefined ? undefined : Math.min(createdMs, upToMs);
    const item = encodeItem({ ...rest, createdMs: created, updatedMs: Math.min(updatedMs, upToMs) });
    return (transaction) => transaction.put('items', key, item);
  });
  await changeRows(store, 'keyed', (keyId, value) => {
    const row = encodeCopies(settled([...new KeyRow(value).copies()]));
    return (transaction) => transaction.put('keyed', keyId, row);
  });
  await changeRows(store, 'keys', (id, value) => {
    const index = writeIndexOf(id);
    const row = encodeCopies(settled(decodeEarlierCopies(value).map((copy) => ({ index, ...copy }))));
    return (transaction) => {
      transaction.put('keyed', keyIdOf(id), Buffer.concat([transaction.get('keyed', keyIdOf(id)) ?? Buffer.of(), row]));
      transaction.remove('keys', id);
    };
  });

  const mended: Mended = {
    count: (before?.count ?? 0) + 1,
    id: randomName(random, 13),
    future: { ...before?.future, ...Object.fromEntries(future.map(({ origin, newestMs }) => [origin, newestMs])) },
  };
  await wal.storeMark('mended', mended);
  await wal.storeMark('mending', false);
  return { upToMs, pairs, items, mended };
}

/** The same copies; those that count keep counting. */
function settled(copies: readonly WriteCopy[]): WriteCopy[] {
  const writes = new Map<string, WriteCopy[]>();
  for (const copy of copies) {
    const name = `${copy.index} ${copy.bodyHash} ${copy.values ?? ''}`;
    const write = writes.get(name);
    if (write === undefined) writes.set(name, [copy]);
    else write.push(copy);
  }
  const counts = new Set([...writes.values()].flatMap<Copy>(counting));
  return copies.map((copy) => (counts.has(copy) ? { ...copy, epoch: MENDED_EPOCH } : copy));
}

/** Replaces each row by the result of `change`, in transactions of some rows; undefined: unchanged. Returns how many changed. */
async function changeRows<T extends TableName>(
  store: Store,
  table: T,
  change: (key: StoreTables[T], value: Uint8Array) => ((transaction: StoreTransaction) => void) | undefined,
): Promise<number> {
  let changed = 0;
  let from: StoreTables[T] | undefined;
  do {
    const changes: ((transaction: StoreTransaction) => void)[] = [];
    let rows = 0;
    let bytes = 0;
    let next: StoreTables[T] | undefined;
    for (const { key, value } of store.range(table, from === undefined ? {} : { from })) {
      if (rows === STEP_ROWS || bytes > STEP_BYTES) {
        next = key;
        break;
      }
      rows++;
      bytes += value.length;
      const one = change(key, value);
      if (one !== undefined) changes.push(one);
    }
    if (changes.length > 0) {
      await store.commit((transaction) => {
        for (const one of changes) one(transaction);
      });
    }
    changed += changes.length;
    from = next;
  } while (from !== undefined);
  return changed;
}
