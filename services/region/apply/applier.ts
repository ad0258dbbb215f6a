/** Apply on the in-memory state. See `apply.ts`. */

import { assert, type Clock } from '../../../shared/kernel/kernel.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { GrowingPosition, type Position, totalOf } from '../../../shared/protocol/position.ts';
import { type Batch, newestMsOf } from '../batch/batch.ts';
import type { IndexQueue } from '../index-queue/index-queue.ts';
import { type CatalogWriter, writesEmbedding, writesItem } from '../state/catalog/catalog.ts';
import { type Copy, countSignal, isKeyedSignal, type KeyedSignal, type Place } from '../state/keys/keys.ts';
import type { Ledger } from '../state/ledger/ledger.ts';
import type { VectorChanges } from '../state/vectors/vectors.ts';
import { type Apply, laterOf, type Newest } from './apply.ts';
import { PositionWaits } from './position-waits.ts';

export interface ApplierOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly catalog: CatalogWriter;
  readonly ledger: Ledger;
  /** Filter index and text index: they get the items that changed from the catalog. */
  readonly indexQueue: Pick<IndexQueue, 'wake' | 'room'>;
  readonly vectors: VectorChanges;
  /** Runs the action in the next turn of the event loop. Absent: batches are applied at once, however many. */
  readonly nextTurn?: ((action: () => void) => void) | undefined;
  /** Every durable duplicate of the writes under an idempotency key's id. */
  readonly copies: (id: string) => readonly Copy[];
  /** The position of the recovered state. */
  readonly applied: Position;
  readonly newest: Newest;
}

export function createApplier(options: ApplierOptions): Apply {
  return new Applier(options);
}

class Applier implements Apply {
  private readonly options: ApplierOptions;
  private readonly position: GrowingPosition;
  private readonly waits: PositionWaits;
  private readonly before: ((batch: Batch) => void)[] = [];
  private readonly after: ((batch: Batch) => void)[] = [];
  private readonly counted;
  private newest: Newest;

  constructor(options: ApplierOptions) {
    this.options = options;
    this.position = new GrowingPosition(options.applied);
    this.newest = options.newest;
    this.waits = new PositionWaits(options.clock, this.position);
    const { metrics } = options;
    this.counted = metrics.counter({
      name: 'tidal_applied_events_total',
      help: 'Events applied to the state since the process started, recovery not counted.',
    });
    metrics.gauge({
      name: 'tidal_applied_position_events',
      help: 'Events the state contains, over all origins.',
      read: () => totalOf(this.position),
    });
    metrics.gauge({
      name: 'tidal_position_waits',
      help: 'Requests that wait for a position to be applied here.',
      read: () => this.waits.size,
    });
  }

  get newestMs(): number {
    return this.newest.acceptedMs;
  }

  get applied(): Position {
    return this.position;
  }

  get waiting(): number {
    return this.waits.size;
  }

  onApplying(listener: (batch: Batch) => void): void {
    this.before.push(listener);
  }

  onApplied(listener: (batch: Batch) => void): void {
    this.after.push(listener);
  }

  room(): Promise<void> {
    return this.options.indexQueue.room();
  }

  async apply(batches: readonly Batch[]): Promise<void> {
    for (const [index, batch] of batches.entries()) {
      const { nextTurn } = this.options;
      if (index > 0 && nextTurn !== undefined) await new Promise<void>((resolve) => nextTurn(resolve));
      const before = this.position.get(batch.origin) ?? 0;
      assert(batch.first === before + 1, 'batches are applied in log order', () => ({
        origin: batch.origin,
        first: batch.first,
        before,
      }));
      for (const listener of this.before) listener(batch);
      this.applyEvents(batch);
      this.position.set(batch.origin, batch.last);
      this.counted.inc(batch.last - before);
      for (const listener of this.after) listener(batch);
      this.waits.advanced(batch.origin);
    }
  }

  private applyEvents(batch: Batch): void {
    this.options.turns?.mark('apply');
    if (batch.signals === undefined) this.applyOneByOne(batch);
    else this.options.ledger.addColumns(batch.signals);
    const { epoch, lastHlc } = batch;
    this.newest = laterOf(this.newest, { epoch, hlc: lastHlc, acceptedMs: newestMsOf(batch) });
  }

  private applyOneByOne(batch: Batch): void {
    const { ledger, catalog, vectors, indexQueue } = this.options;
    let sequence = batch.first;
    for (const event of batch.events) {
      if (isKeyedSignal(event)) {
        this.countKeyed(event, { origin: batch.origin, epoch: batch.epoch, sequence });
      } else if (event.kind === 'signal') {
        ledger.add(event.entity, event.signal, event.weight, event.timeMs);
      } else if (writesItem(event) || writesEmbedding(event)) {
        const order = { epoch: batch.epoch, hlc: event.hlc, origin: batch.origin, sequence };
        const change = catalog.apply({ event, order });
        if (change.item === 'gone') {
          ledger.upperBounds.remove(event.entity);
        } else if (change.item !== undefined || change.isOlder === true) {
          ledger.upperBounds.put(event.entity);
        }
        if (change.embedding !== undefined) vectors.changed(event.entity);
        else if (change.item !== undefined) vectors.touched(event.entity);
      }
      sequence++;
    }
    indexQueue.wake();
  }

  /** The log knows every durable duplicate, also those that are not in the state yet: they are counted when they are applied. */
  private countKeyed(event: KeyedSignal, place: Place): void {
    const before = this.options.copies(event.key.id).filter(({ origin, sequence }) => {
      if (origin === place.origin) return sequence < place.sequence;
      return sequence <= (this.position.get(origin) ?? 0);
    });
    countSignal(this.options.ledger, event, place, before);
  }

  reached(position: Position, limitMs: number): Promise<boolean> {
    return this.waits.until(position, limitMs);
  }
}
