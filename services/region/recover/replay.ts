/**
 * Replays the log into a ledger whose shards have positions of their own: each shard adds what it does not contain, and nothing
 * twice. Origins are replayed one after another, because state does not depend on their interleaving.
 *
 * Of a keyed signal's duplicates those that the *shard* contains at that point are in the ledger already; the others are counted
 * when they are replayed. Duplicates have the same body, so the same entity and shard. A duplicate whose record was removed is
 * replayed only if a shard is rebuilt from the log's first batch, because only records below the checkpoint position are removed.
 * Then every duplicate of its request is replayed too, so remembering the replayed ones suffices.
 */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import { type Position, sequenceOf } from '../../../shared/protocol/position.ts';
import type { Quarantine } from '../../../shared/protocol/quarantine.ts';
import type { SignalColumns } from '../../../shared/protocol/signal-columns.ts';
import { type Batch, chainHash, decodeBatchUnder, NO_PREDECESSOR } from '../batch/batch.ts';
import { InvalidBatch } from '../batch/reader/reader.ts';
import { type Copy, copyOf, countSignal, isKeyedSignal, type KeyedSignal, type Place } from '../state/keys/keys.ts';
import type { Ledger } from '../state/ledger/ledger.ts';
import type { OriginInfo, Wal } from '../wal/wal.ts';
import { UnappliableEvent } from './unappliable.ts';

const READ_BYTES = 4 * 1024 * 1024;

export interface ReplayOptions {
  readonly wal: Wal;
  readonly ledger: Ledger;
  /** The position that each shard contains. */
  readonly shards: readonly Position[];
  /** Called after each read, with its number of events. */
  readonly onRead: (events: number) => void;
}

export class Replay {
  private readonly options: ReplayOptions;
  /** Origins replayed to their end: every shard contains all of them. */
  private readonly done = new Set<string>();
  /** Replayed events whose idempotency record was removed. */
  private readonly forgotten = new Map<string, Copy[]>();

  constructor(options: ReplayOptions) {
    this.options = options;
  }

  /** Everything of an origin after `lowest`, which every shard contains. Throws `Fault('damaged_log')`. */
  origin({ origin, first, last, chain: end }: OriginInfo, lowest: number): void {
    const { wal, shards, onRead } = this.options;
    const covered = Float64Array.from(shards, (position) => sequenceOf(position, origin));
    // The predecessor of the first batch is unknown, unless there is none.
    let chain: Uint8Array | undefined = lowest === 0 ? NO_PREDECESSOR : undefined;
    if (covered.some((sequence) => sequence > last)) {
      throw new Fault('damaged_log', `the log of ${origin} ends at ${last}, before what a checkpoint contains of it`);
    }
    if (lowest < last && first > lowest + 1) {
      throw new Fault('damaged_log', `the log lacks ${origin}:${lowest + 1}-${first - 1}, which no checkpoint covers`);
    }
    for (let next = lowest + 1; next <= last; ) {
      const parts = wal.read(origin, next, READ_BYTES);
      if (parts.length === 0) throw new Fault('damaged_log', `the log lacks ${origin}:${next}`);
      let events = 0;
      for (const bytes of parts) {
        const batch = decode(wal.quarantine, bytes, origin, next);
        const follows = chain === undefined ? batch.first <= next && batch.last >= next : batch.first === next;
        if (!follows || (chain !== undefined && Buffer.compare(batch.chain, chain) !== 0)) {
          throw new Fault('damaged_log', `the log is damaged at ${origin}:${next}`);
        }
        this.batch(batch, covered);
        chain = chainHash(bytes);
        next = batch.last + 1;
        events += batch.last - batch.first + 1;
      }
      onRead(events);
    }
    if (lowest < last && chain !== undefined && Buffer.compare(chain, end) !== 0) {
      throw new Fault(
        'damaged_log',
        `the log is damaged at ${origin}:${last}: it is not the batch that was written there`,
      );
    }
    this.done.add(origin);
  }

  private batch(batch: Batch, covered: Float64Array): void {
    const { ledger } = this.options;
    const { origin, epoch, first } = batch;
    if (batch.signals !== undefined) {
      this.signals(batch.signals, origin, first, covered);
      return;
    }
    for (const [index, event] of batch.events.entries()) {
      if (event.kind !== 'signal' && event.kind !== 'retraction') continue;
      const sequence = first + index;
      const shard = ledger.shardOf(event.entity);
      if (sequence <= covered[shard]!) continue;
      applying(origin, sequence, () => {
        if (isKeyedSignal(event)) this.countKeyed(event, { origin, epoch, sequence }, shard);
        else if (event.kind === 'signal') ledger.add(event.entity, event.signal, event.weight, event.timeMs);
      });
    }
  }

  private signals(
    { count, names, kinds, entities, weights, timesMs }: SignalColumns,
    origin: string,
    first: number,
    covered: Float64Array,
  ): void {
    const { ledger } = this.options;
    let index = 0;
    try {
      for (; index < count; index++) {
        const entity = entities[index]!;
        if (first + index <= covered[ledger.shardOf(entity)]!) continue;
        ledger.add(entity, names[kinds[index]!]!, weights[index]!, timesMs[index]!);
      }
    } catch (error) {
      throw unappliable(origin, first + index, error);
    }
  }

  private countKeyed(event: KeyedSignal, place: Place, shard: number): void {
    const { wal, ledger, shards } = this.options;
    const { id } = event.key;
    const copies = wal.copies(id);
    const before = copies.filter(({ origin, sequence }) => {
      if (origin === place.origin) return sequence < place.sequence;
      return this.done.has(origin) || sequence <= sequenceOf(shards[shard]!, origin);
    });
    const met = this.forgotten.get(id) ?? [];
    countSignal(ledger, event, place, [...before, ...met]);
    const known = copies.some(({ origin, sequence }) => origin === place.origin && sequence === place.sequence);
    if (!known) this.forgotten.set(id, [...met, copyOf(event, event.key, place)]);
  }
}

function decode(quarantine: Quarantine, bytes: Uint8Array, origin: string, next: number): Batch {
  try {
    return decodeBatchUnder(quarantine, bytes);
  } catch (error) {
    if (error instanceof InvalidBatch && error.events !== undefined) {
      throw new UnappliableEvent({ origin, ...error.events }, error.message);
    }
    throw new Fault('damaged_log', `the log is damaged at ${origin}:${next}: ${messageOf(error)}`, { cause: error });
  }
}

function applying(origin: string, sequence: number, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw unappliable(origin, sequence, error);
  }
}

function unappliable(origin: string, sequence: number, error: unknown): UnappliableEvent {
  return new UnappliableEvent({ origin, first: sequence, last: sequence }, messageOf(error));
}
