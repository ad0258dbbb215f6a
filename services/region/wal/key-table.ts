/**
 * The log's table of idempotency records: a key on a route → every event in the log of every write under it (`key-rows.ts`).
 * Records are written with the batches, in their transaction; old ones are removed.
 *
 * The time up to which records were removed is stored in the transaction that removes them, so that a region knows it as long as
 * it lacks them: an event that is received later and was accepted within seven days of it may be a duplicate of one that other
 * regions know (`receive/ingest.ts`).
 *
 * An earlier version had a record for each write, in a table of its own. It is read while it has records; a record to which a
 * copy is added moves to the row of its key, so that all copies of a write are removed together.
 */

import { keyIdOf, writeIndexOf } from '../../../shared/protocol/idempotency.ts';
import type { KeyRunReport } from '../../../shared/protocol/internal.ts';
import { type Position, sequenceOf } from '../../../shared/protocol/position.ts';
import type { Quarantine } from '../../../shared/protocol/quarantine.ts';
import type { Batch } from '../batch/batch.ts';
import { type Copy, copyOf } from '../state/keys/keys.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import { decodeJson, encodeJson } from './documents.ts';
import { decodeEarlierCopies, encodeCopies, KeyRow, type WriteCopy } from './key-rows.ts';
import type { ForgetOptions } from './wal.ts';

/** The store's name of that time, epoch ms. */
const FORGOTTEN = 'keys_forgotten';
/** Number of cached rows, for requests whose writes are looked up one after another. */
const ROWS_KEPT = 16;

type RecordTable = 'keyed' | 'keys';

interface Forgotten {
  /** Where the next step begins; undefined at the end. */
  readonly next: string | undefined;
  readonly forgotten: number;
}

export class KeyTable {
  private readonly store: Store;
  private readonly durable: Position;
  private readonly quarantine: () => Quarantine;
  /** By key id: rows read since the last commit, so that a bulk's is read once and not for each of its writes. */
  private readonly rows = new Map<string, KeyRow | undefined>();
  /** By key id: the last unfinished append of a received copy. */
  private readonly coming = new Map<string, Promise<void>>();
  /** True if there may be records of an earlier version. */
  private earlier: boolean;
  /** Records whose newest copy was accepted before this time may have been removed, epoch ms; 0: none were. */
  forgottenMs: number;
  /** Number of appends of received batches so far. */
  received = 0;

  constructor(store: Store, durable: Position, quarantine: () => Quarantine) {
    this.store = store;
    this.durable = durable;
    this.quarantine = quarantine;
    this.earlier = store.count('keys') > 0;
    const stored = store.get('marks', FORGOTTEN);
    this.forgottenMs = stored === undefined ? 0 : decodeJson<number>(stored);
  }

  get count(): number {
    return this.store.count('keyed') + this.store.count('keys');
  }

  get bytes(): number {
    return this.store.bytes('keyed') + this.store.bytes('keys');
  }

  copies(id: string): readonly Copy[] {
    const copies = this.row(keyIdOf(id))?.copiesOf(writeIndexOf(id)) ?? [];
    const earlier = this.earlier ? this.store.get('keys', id) : undefined;
    if (earlier !== undefined) copies.push(...decodeEarlierCopies(earlier));
    if (copies.length === 0) return copies;
    // A commit may be visible before it is flushed; only flushed records exist. Events that were set aside do not count.
    const aside = this.quarantine();
    return copies.filter(
      ({ origin, sequence }) => sequence <= sequenceOf(this.durable, origin) && !aside.has(origin, sequence),
    );
  }

  /** Where the log has the writes under a key on a route. Records of an earlier version are not among them. */
  runs(keyId: string): readonly KeyRunReport[] {
    const runs = this.row(keyId)?.summary() ?? [];
    return runs.filter(({ origin, last }) => last <= sequenceOf(this.durable, origin));
  }

  /** All records, with all their copies. */
  *all(): Iterable<readonly [string, readonly Copy[]]> {
    for (const [table, key, value] of this.records(undefined)) {
      yield [key, table === 'keyed' ? [...new KeyRow(value).copies()] : decodeEarlierCopies(value)];
    }
  }

  private row(keyId: string): KeyRow | undefined {
    if (this.rows.has(keyId)) return this.rows.get(keyId);
    const stored = this.store.get('keyed', keyId);
    const row = stored === undefined ? undefined : new KeyRow(stored);
    if (this.rows.size >= ROWS_KEPT) this.rows.clear();
    this.rows.set(keyId, row);
    return row;
  }

  /** Reads from now on see the commit. */
  changed(): void {
    this.rows.clear();
  }

  /** Adds the copies of these batches in the transaction that puts them; each row is written once. */
  put(transaction: StoreTransaction, batches: readonly Batch[]): void {
    const added = new Map<string, WriteCopy[]>();
    for (const batch of batches) {
      if (batch.signals !== undefined) continue;
      const { origin, epoch, first } = batch;
      for (const [offset, event] of batch.events.entries()) {
        if (event.key === undefined) continue;
        const { id } = event.key;
        const index = writeIndexOf(id);
        const copies = added.get(keyIdOf(id)) ?? [];
        if (copies.length === 0) added.set(keyIdOf(id), copies);
        if (this.earlier) {
          for (const copy of takeEarlier(transaction, id)) copies.push({ index, ...copy });
        }
        copies.push({ index, ...copyOf(event, event.key, { origin, epoch, sequence: first + offset }) });
      }
    }
    for (const [keyId, copies] of added) {
      const present = transaction.get('keyed', keyId);
      const row = encodeCopies(copies);
      transaction.put('keyed', keyId, present === undefined ? row : Buffer.concat([present, row]));
    }
  }

  arriving(id: string): Promise<void> | undefined {
    return this.coming.get(keyIdOf(id));
  }

  noteArriving(batches: readonly Batch[], run: Promise<void>): void {
    this.received++;
    const keyIds = new Set<string>();
    for (const batch of batches) {
      if (batch.signals !== undefined) continue;
      for (const { key } of batch.events) if (key !== undefined) keyIds.add(keyIdOf(key.id));
    }
    if (keyIds.size === 0) return;
    const forget = (): void => {
      for (const keyId of keyIds) if (this.coming.get(keyId) === over) this.coming.delete(keyId);
    };
    const over = run.then(forget, forget);
    for (const keyId of keyIds) this.coming.set(keyId, over);
  }

  async forget({ from, limit, limitBytes, beforeMs, upTo }: ForgetOptions): Promise<Forgotten> {
    const last = (origin: string): number => sequenceOf(upTo, origin);
    const isOld = (table: RecordTable, value: Uint8Array): boolean =>
      table === 'keyed'
        ? new KeyRow(value).isOlder(beforeMs, last)
        : decodeEarlierCopies(value).every((copy) => copy.acceptedMs < beforeMs && copy.sequence <= last(copy.origin));
    const found: (readonly [RecordTable, string])[] = [];
    let next: string | undefined;
    let looked = 0;
    let bytes = 0;
    for (const [table, key, value] of this.records(from)) {
      bytes += value.length;
      if (looked === limit || (looked > 0 && bytes > limitBytes)) {
        next = key;
        break;
      }
      looked++;
      if (isOld(table, value)) found.push([table, key]);
    }
    if (found.length === 0) return { next, forgotten: 0 };
    // Set before the removal: events checked against it meanwhile are appended after the records were removed.
    this.forgottenMs = Math.max(this.forgottenMs, beforeMs);
    await this.store.commit((transaction) => {
      for (const [table, key] of found) {
        // A copy may have been added since the row was read, or be queued behind this commit.
        const value = this.coming.has(keyIdOf(key)) ? undefined : transaction.get(table, key);
        if (value !== undefined && isOld(table, value)) transaction.remove(table, key);
      }
      transaction.put('marks', FORGOTTEN, encodeJson(this.forgottenMs));
    });
    this.changed();
    this.earlier = this.store.count('keys') > 0;
    return { next, forgotten: found.length };
  }

  /** All records from that one on, those of an earlier version last: whole ids, longer than the id of a key. */
  private *records(from: string | undefined): Iterable<readonly [RecordTable, string, Uint8Array]> {
    const bound = from === undefined ? {} : { from };
    const isEarlier = from !== undefined && from !== keyIdOf(from);
    if (!isEarlier) for (const { key, value } of this.store.range('keyed', bound)) yield ['keyed', key, value];
    for (const { key, value } of this.store.range('keys', isEarlier ? bound : {})) yield ['keys', key, value];
  }
}

/** The record of an earlier version for this write: it moves to the row of its key. */
function takeEarlier(transaction: StoreTransaction, id: string): Copy[] {
  const stored = transaction.get('keys', id);
  if (stored === undefined) return [];
  transaction.remove('keys', id);
  return decodeEarlierCopies(stored);
}
