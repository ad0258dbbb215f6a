/**
 * The log's table of idempotency records: id → its copies in the log. Written with the batches (`log.ts`); here it is read, and
 * what is too old is forgotten.
 *
 * The moment up to which records were forgotten is stored in the transaction that removes them, so that a region knows it as
 * long as it lacks them: what comes later and was accepted within seven days of it may be a copy of something forgotten here
 * and known elsewhere (`receive/ingest.ts`).
 */
import type { Batch } from '../../../shared/protocol/batch.ts';
import type { Position } from '../../../shared/protocol/position.ts';
import type { Quarantine } from '../../../shared/quarantine/quarantine.ts';
import type { Copy } from '../state/keys/keys.ts';
import { decodeCopies, decodeJson, encodeJson } from './documents.ts';
import type { Store } from './store.ts';
import type { ForgetOptions } from './wal.ts';

/** The store's name of the moment, epoch ms. */
const FORGOTTEN = 'keys_forgotten';

export class KeyTable {
  private readonly store: Store;
  private readonly durable: Position;
  private readonly quarantine: () => Quarantine;
  /** By id: the last append of a received copy that is not over. */
  private readonly coming = new Map<string, Promise<void>>();
  /** Records whose newest copy was accepted before this moment may be forgotten, epoch ms; 0: none are. */
  forgottenMs: number;
  /** Appends of what others accepted, so far. */
  received = 0;

  constructor(store: Store, durable: Position, quarantine: () => Quarantine) {
    this.store = store;
    this.durable = durable;
    this.quarantine = quarantine;
    const stored = store.get('marks', FORGOTTEN);
    this.forgottenMs = stored === undefined ? 0 : decodeJson<number>(stored);
  }

  get count(): number {
    return this.store.count('keys');
  }

  copies(id: string): readonly Copy[] {
    const bytes = this.store.get('keys', id);
    if (bytes === undefined) return [];
    // A commit may be seen before it is flushed; only what is flushed exists. What was set aside was never taken.
    const aside = this.quarantine();
    return decodeCopies(bytes).filter(
      ({ origin, sequence }) => sequence <= (this.durable.get(origin) ?? 0) && !aside.has(origin, sequence),
    );
  }

  arriving(id: string): Promise<void> | undefined {
    return this.coming.get(id);
  }

  noteArriving(batches: readonly Batch[], run: Promise<void>): void {
    this.received++;
    const ids = batches.flatMap((batch) =>
      batch.signals === undefined ? batch.events.flatMap(({ key }) => (key === undefined ? [] : [key.id])) : [],
    );
    if (ids.length === 0) return;
    const forget = (): void => {
      for (const id of ids) if (this.coming.get(id) === over) this.coming.delete(id);
    };
    const over = run.then(forget, forget);
    for (const id of ids) this.coming.set(id, over);
  }

  async forget({
    from,
    limit,
    beforeMs,
    upTo,
  }: ForgetOptions): Promise<{ next: string | undefined; forgotten: number }> {
    const old = (value: Uint8Array): boolean =>
      decodeCopies(value).every(
        ({ acceptedMs, origin, sequence }) => acceptedMs < beforeMs && sequence <= (upTo.get(origin) ?? 0),
      );
    const found: string[] = [];
    let next: string | undefined;
    let looked = 0;
    for (const { key, value } of this.store.range('keys', {
      ...(from === undefined ? {} : { from }),
      limit: limit + 1,
    })) {
      if (++looked > limit) next = key;
      else if (old(value)) found.push(key);
    }
    if (found.length === 0) return { next, forgotten: 0 };
    // From now on, before it is so: what is checked against it meanwhile is appended after the records are gone.
    this.forgottenMs = Math.max(this.forgottenMs, beforeMs);
    await this.store.commit((transaction) => {
      for (const id of found) {
        // A copy may have come since it was looked at, or be on its way behind this commit.
        const value = this.coming.has(id) ? undefined : transaction.get('keys', id);
        if (value !== undefined && old(value)) transaction.remove('keys', id);
      }
      transaction.put('marks', FORGOTTEN, encodeJson(this.forgottenMs));
    });
    return { next, forgotten: found.length };
  }
}
