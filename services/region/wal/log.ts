/**
 * The log on a store. See `wal.ts` for its promises; this file is the order of effects.
 *
 * One append: plan (decide, without access to the store, that every batch is the next of its origin and chains to it) → one
 * transaction (re-assert against the stored origin record, so that a second process on the same directory crashes instead of
 * interleaving; batches; registers merged in log order; origin records; offset) → commit, flush → only then the in-memory marks
 * that readers use are advanced.
 */

import { Fault } from '../../../shared/errors/errors.ts';
import { assert } from '../../../shared/kernel/kernel.ts';
import { credibleInLog } from '../../../shared/leadership/epochs.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import type { KeyRunReport } from '../../../shared/protocol/internal.ts';
import { GrowingPosition } from '../../../shared/protocol/position.ts';
import { type Quarantine, type QuarantinedRange, quarantineOf } from '../../../shared/protocol/quarantine.ts';
import type { Batch } from '../batch/batch.ts';
import { NO_PREDECESSOR, newestMsOf } from '../batch/batch.ts';
import { Queue } from '../queue/queue.ts';
import type { SlicesOptions } from '../slices/slices.ts';
import type { EmbeddingRegister, ItemRegister } from '../state/catalog/catalog.ts';
import type { Copy } from '../state/keys/keys.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import { damagedBatches, headerOf, restoreBatch, restoreRegisters } from './damaged-rows.ts';
import { decodeEmbedding, decodeItem, decodeOrigin, encodeJson, encodeOrigin, openedOrigin } from './documents.ts';
import { KeyTable } from './key-table.ts';
import { registerLogGauges } from './log-metrics.ts';
import { readMarks } from './marks.ts';
import { mergeRegisters } from './merge-registers.ts';
import { CheckedStore } from './row-checksums.ts';
import { registersSetAside } from './set-aside.ts';
import { putShard, storedShards } from './shard-rows.ts';
import {
  type AppendOptions,
  type BatchRange,
  DamagedRow,
  type ForgetOptions,
  type MarkName,
  type OriginInfo,
  type SearchOptions,
  type StreamOffset,
  type Wal,
} from './wal.ts';

/** The store's name of the stored offset; the other marks are {@link MarkName}s. */
const OFFSET = 'offset';

export interface LogOptions {
  readonly store: Store;
  /** Absent: nothing is shown of it, as of a copy. */
  readonly metrics?: Metrics;
}

/** Opens the log: reads origins and marks, nothing else. Throws `Fault('unknown_format')` (`marks.ts`) and `DamagedRow`. */
export function openLog({ store, metrics }: LogOptions): Wal {
  const log = new Log(store);
  if (metrics !== undefined) registerLogGauges(metrics, log);
  return log;
}

class Log implements Wal {
  private readonly store: Store;
  private readonly plain: Store;
  private damageMet: (damage: DamagedRow) => void = () => {};
  private readonly known = new Map<string, OriginInfo>();
  private readonly durablePosition = new GrowingPosition();
  private readonly marks: Map<string, unknown>;
  /** Origins this process opened. */
  private readonly owned = new Set<string>();
  private readonly notes = new Map<MarkName, unknown>();
  private storedOffset: StreamOffset | undefined;
  private notedOffset: StreamOffset | undefined;
  /** By epoch. */
  private readonly highest = new Map<number, number>();
  /** For how many epochs it was computed. */
  private credible = { epochs: 0, epoch: 0 };
  private readonly keyTable: KeyTable;
  /** One after another, so that a plan is based on the result of the former append. */
  private readonly queue = new Queue();
  quarantine: Quarantine;

  constructor(plain: Store) {
    const store = new CheckedStore(plain);
    this.store = store;
    this.plain = plain;
    this.marks = readMarks(store);
    this.keyTable = new KeyTable(store, this.durablePosition, () => this.quarantine);
    for (const { key, value } of store.range('origins', {})) {
      this.learn(decodeOrigin(key, value, this.firstStored(key)));
    }
    this.storedOffset = this.marks.get(OFFSET) as StreamOffset | undefined;
    this.quarantine = quarantineOf(this.marks.get('quarantine'));
  }

  setAside(range: QuarantinedRange): Promise<void> {
    return this.queue.add(async () => {
      const next = this.quarantine.with(range);
      if (next.text === this.quarantine.text) return;
      const isHere = (this.durablePosition.get(range.origin) ?? 0) >= range.first;
      const read = (origin: string, from: number): readonly Uint8Array[] => this.read(origin, from, 1);
      const registers = isHere ? registersSetAside(this.store, range, read) : [];
      await this.commitWithNotes((transaction) => {
        transaction.put('marks', 'quarantine', encodeJson(next));
        for (const [table, entity, value] of registers) {
          if (value === undefined) transaction.remove(table, entity);
          else transaction.put(table, entity, value);
        }
      });
      this.quarantine = next;
    });
  }

  get durable(): ReadonlyMap<string, number> {
    return this.durablePosition;
  }

  get offset(): StreamOffset | undefined {
    return this.storedOffset;
  }

  highestHlcOf(epoch: number): number {
    return this.highest.get(epoch) ?? 0;
  }

  origins(): readonly OriginInfo[] {
    return [...this.known.values()];
  }

  get credibleEpoch(): number {
    const epochs = this.highest.size;
    if (this.credible.epochs !== epochs) this.credible = { epochs, epoch: credibleInLog([...this.highest.keys()]) };
    return this.credible.epoch;
  }

  origin(name: string): OriginInfo | undefined {
    return this.known.get(name);
  }

  owns(origin: string): boolean {
    return this.owned.has(origin);
  }

  openOrigin(origin: string, epoch: number): Promise<void> {
    return this.queue.add(async () => {
      assert(!this.known.has(origin), 'an origin is opened once', () => ({ origin }));
      const info = openedOrigin(origin, epoch);
      await this.commitWithNotes((transaction) => {
        assert(transaction.get('origins', origin) === undefined, 'an origin is opened once', () => ({ origin }));
        transaction.put('origins', info.origin, encodeOrigin(info));
      });
      this.learn(info);
      this.owned.add(origin);
    });
  }

  append(options: AppendOptions): Promise<void> {
    // Before its turn: events stamped from now on follow it in the log.
    for (const { epoch, lastHlc } of options.batches) this.noteHlc(epoch, lastHlc);
    const run = this.queue.add(() => this.appendNow(options));
    if (options.own !== true) this.keyTable.noteArriving(options.batches, run);
    return run;
  }

  private async appendNow({ batches, own, offset }: AppendOptions): Promise<void> {
    const after = this.plan(batches, own === true);
    const newOffset = offset ?? this.notedOffset;
    await this.commitWithNotes((transaction) => {
      for (const origin of after.keys()) this.assertStored(transaction, origin);
      for (const batch of batches) {
        transaction.put('batches', [batch.origin, batch.first], batch.bytes);
        mergeRegisters(transaction, batch);
      }
      this.keyTable.put(transaction, batches);
      for (const info of after.values()) transaction.put('origins', info.origin, encodeOrigin(info));
      if (newOffset !== undefined) transaction.put('marks', OFFSET, encodeJson(newOffset));
    });
    // Before the durable position advances: afterwards reads include what was appended.
    this.keyTable.changed();
    for (const info of after.values()) this.learn(info);
    this.offsetStored(newOffset);
    // An explicit offset is the newest: an older noted one must not overwrite it later.
    if (offset !== undefined) this.notedOffset = undefined;
  }

  /** The new end of every affected origin. Throws `BrokenInvariant` before anything is put. */
  private plan(batches: readonly Batch[], own: boolean): Map<string, OriginInfo> {
    const after = new Map<string, OriginInfo>();
    for (const batch of batches) {
      const { origin, epoch, first, last } = batch;
      const before = after.get(origin) ?? this.known.get(origin);
      assert(first === (before?.last ?? 0) + 1, 'a batch is the next of its origin', () => ({ origin, first, before }));
      const follows = Buffer.compare(batch.chain, before?.chain ?? NO_PREDECESSOR) === 0;
      assert(follows, 'a batch chains to its predecessor', () => ({ origin, first }));
      assert(before === undefined || before.epoch === epoch, 'an origin has one epoch', () => ({ origin, epoch }));
      assert(this.owned.has(origin) === own, 'only the process that opened an origin extends it', () => ({ origin }));
      const count = batch.signals?.count ?? batch.events.length;
      assert(count > 0 && last === first + count - 1, 'a batch is as long as it says');
      after.set(origin, {
        origin,
        epoch,
        first: before?.first ?? 1,
        last,
        chain: batch.hash,
        lastHlc: batch.lastHlc,
        lastMs: newestMsOf(batch),
        newestMs: Math.max(before?.newestMs ?? 0, newestMsOf(batch)),
      });
    }
    return after;
  }

  private assertStored(transaction: StoreTransaction, origin: string): void {
    const bytes = transaction.get('origins', origin);
    const stored = bytes === undefined ? 0 : decodeOrigin(origin, bytes).last;
    const expected = this.known.get(origin)?.last ?? 0;
    assert(stored === expected, 'nobody else writes to this directory', () => ({ origin, stored, expected }));
  }

  noteOffset(offset: StreamOffset): void {
    this.notedOffset = offset;
  }

  flushNotes(): Promise<void> {
    return this.queue.add(async () => {
      const noted = this.notedOffset;
      if (noted === undefined && this.notes.size === 0) return;
      await this.commitWithNotes((transaction) => {
        if (noted !== undefined) transaction.put('marks', OFFSET, encodeJson(noted));
      });
      this.offsetStored(noted);
    });
  }

  /** One commit, with the marks that were noted before it. */
  private async commitWithNotes(work: (transaction: StoreTransaction) => void): Promise<void> {
    const notes = [...this.notes];
    await this.store.commit((transaction) => {
      for (const [name, value] of notes) transaction.put('marks', name, encodeJson(value));
      work(transaction);
    });
    for (const [name, value] of notes) {
      this.marks.set(name, value);
      if (this.notes.get(name) === value) this.notes.delete(name);
    }
  }

  private offsetStored(offset: StreamOffset | undefined): void {
    if (offset === undefined) return;
    this.storedOffset = offset;
    if (this.notedOffset === offset) this.notedOffset = undefined;
  }

  read(origin: string, from: number, limitBytes: number): readonly Uint8Array[] {
    const durable = this.durablePosition.get(origin) ?? 0;
    if (from > durable) return [];
    let start = from;
    for (const { key } of this.store.range('batches', {
      from: [origin, 0],
      to: [origin, from],
      reverse: true,
      limit: 1,
    })) {
      start = key[1];
    }
    const found: Uint8Array[] = [];
    let bytes = 0;
    for (const { key, value } of this.store.range('batches', { from: [origin, start], to: [origin, durable] })) {
      bytes += value.length;
      if (found.length > 0 && bytes > limitBytes) break;
      const header = headerOf(this.store, this.known.get(origin)!, key[1], value);
      if (header instanceof DamagedRow) {
        this.damageMet(header);
        if (found.length > 0) break;
        throw header;
      }
      if (found.length === 0) {
        // No batch of this origin before `from` reaches it: the beginning was trimmed.
        if (key[1] > from) return [];
        if (header instanceof Fault) throw header;
        if (header.last < from) return [];
      }
      found.push(value);
    }
    return found;
  }

  trim(origin: string, upTo: number, limitBytes: number): Promise<{ batches: number; bytes: number }> {
    return this.queue.add(async () => {
      const info = this.known.get(origin);
      const durable = this.durablePosition.get(origin) ?? 0;
      assert(info !== undefined && upTo <= durable, 'only what is durable is trimmed', () => ({
        origin,
        upTo,
        durable,
      }));
      const keys: (readonly [string, number])[] = [];
      let bytes = 0;
      let first = info.first;
      for (const { key, value } of this.store.range('batches', { from: [origin, 0], to: [origin, upTo] })) {
        if (keys.length > 0 && bytes + value.length > limitBytes) break;
        const header = headerOf(this.store, info, key[1], value);
        if (header instanceof DamagedRow) {
          this.damageMet(header);
          break;
        }
        if (header instanceof Fault) throw header;
        const { last } = header;
        if (last > upTo) break;
        keys.push(key);
        bytes += value.length;
        first = last + 1;
      }
      if (keys.length === 0) return { batches: 0, bytes: 0 };
      await this.store.commit((transaction) => {
        for (const key of keys) transaction.remove('batches', key);
      });
      this.known.set(origin, { ...info, first });
      return { batches: keys.length, bytes };
    });
  }

  onDamaged(listener: (damage: DamagedRow) => void): void {
    this.damageMet = listener;
  }

  damagedBatches(options: SearchOptions): Promise<readonly BatchRange[]> {
    return damagedBatches(this.store, this.origins(), options);
  }

  restoreBatch(range: BatchRange, bytes: Uint8Array): Promise<string | undefined> {
    return this.queue.add(() => restoreBatch(this.store, this.known.get(range.origin)!, range, bytes));
  }

  restoreRegisters(options: SlicesOptions): Promise<number | undefined> {
    const isMended = this.mark('mended') !== undefined;
    return restoreRegisters(this.plain, { origins: this.origins(), quarantine: this.quarantine, isMended }, options);
  }

  get batchBytes(): number {
    return this.store.bytes('batches');
  }

  get batches(): number {
    return this.store.count('batches');
  }

  private firstStored(origin: string): number | undefined {
    const to = [origin, Number.MAX_SAFE_INTEGER] as const;
    for (const { key } of this.store.range('batches', { from: [origin, 0], to, limit: 1 })) return key[1];
    return undefined;
  }

  storeShard(shard: number, bytes: Uint8Array): Promise<void> {
    return this.store.commit((transaction) => putShard(transaction, shard, bytes));
  }

  shards(): Iterable<readonly [number, Uint8Array]> {
    return storedShards(this.store);
  }

  copies(id: string): readonly Copy[] {
    return this.keyTable.copies(id);
  }

  runs(keyId: string): readonly KeyRunReport[] {
    return this.keyTable.runs(keyId);
  }

  arriving(id: string): Promise<void> | undefined {
    return this.keyTable.arriving(id);
  }

  get received(): number {
    return this.keyTable.received;
  }

  get keys(): number {
    return this.keyTable.count;
  }

  get keyBytes(): number {
    return this.keyTable.bytes;
  }

  get keysForgottenMs(): number {
    return this.keyTable.forgottenMs;
  }

  forgetKeys(options: ForgetOptions): Promise<{ next: string | undefined; forgotten: number }> {
    return this.keyTable.forget(options);
  }

  *itemRegisters(): Iterable<readonly [number, ItemRegister]> {
    for (const { key, value } of this.store.range('items', { lent: true })) yield [key, decodeItem(value)];
  }

  *embeddingRegisters(): Iterable<readonly [number, EmbeddingRegister]> {
    for (const { key, value } of this.store.range('embeddings', { lent: true })) yield [key, decodeEmbedding(value)];
  }

  idempotencyRecords(): Iterable<readonly [string, readonly Copy[]]> {
    return this.keyTable.all();
  }

  mark(name: MarkName): unknown {
    return this.notes.has(name) ? this.notes.get(name) : this.marks.get(name);
  }

  storeMark(name: MarkName, value: unknown): Promise<void> {
    return this.queue.add(async () => {
      await this.commitWithNotes((transaction) => transaction.put('marks', name, encodeJson(value)));
      this.marks.set(name, value);
      this.notes.delete(name);
    });
  }

  noteMark(name: MarkName, value: unknown): void {
    this.notes.set(name, value);
  }

  get noted(): ReadonlySet<MarkName> {
    return new Set(this.notes.keys());
  }

  async close(): Promise<void> {
    try {
      await this.flushNotes();
    } catch (error) {
      // If a hint is not stored, the next start only reads more.
      if (!isStorageFull(error)) throw error;
    } finally {
      await this.store.close();
    }
  }

  private learn(info: OriginInfo): void {
    this.known.set(info.origin, info);
    if (info.last > 0) this.durablePosition.set(info.origin, info.last);
    this.noteHlc(info.epoch, info.lastHlc);
  }

  private noteHlc(epoch: number, hlc: number): void {
    this.highest.set(epoch, Math.max(this.highestHlcOf(epoch), hlc));
  }
}
