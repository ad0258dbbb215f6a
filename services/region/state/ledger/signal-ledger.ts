/** Implementation of the ledger: one {@link SignalPairs} for each signal of the schema. */

import { assert, BrokenInvariant } from '../../../../shared/kernel/kernel.ts';
import type { Metrics } from '../../../../shared/observe/metrics.ts';
import { WEIGHT_LIMIT, WEIGHT_SCALE } from '../../../../shared/protocol/events.ts';
import type { SignalColumns } from '../../../../shared/protocol/signal-columns.ts';
import type { Schema, Window } from '../../schema/schema.ts';
import { Changes } from '../changes/changes.ts';
import type { DigestedPart, ValueSink } from '../digest/digest.ts';
import { Entities } from '../entities/entities.ts';
import { type PairBound, UpperBounds } from '../upper-bounds/upper-bounds.ts';
import { Decay } from './decay/decay.ts';
import { type Ledger, type Past, SHARDS, type ShardPass, type SignalReading, type SignalView } from './ledger.ts';
import { PastLedger } from './past/past.ts';
import { SlotPass } from './shard-pass.ts';
import { damaged, ShardReader, shardOf } from './shards/shards.ts';
import { SignalPairs } from './signal-pairs.ts';

/** Limit of pairs whose upper bounds are not raised yet: the next search raises as many, some tenths of a millisecond. */
const WAITING_LIMIT = 4_096;
const HEAVIEST = WEIGHT_LIMIT * WEIGHT_SCALE;

export interface LedgerOptions {
  readonly schema: Pick<Schema, 'signals'>;
  /** Absent: a numbering of its own. */
  readonly entities?: Entities;
  /** The creation time of the live item with this ordinal, −1 without one. Absent: nothing is live. */
  readonly createdMs?: (ordinal: number) => number;
  /** Signals whose decayed score is used in rankings: it has upper bounds too. */
  readonly decayed?: ReadonlySet<string>;
  /** Absent: nothing is shown of it. */
  readonly metrics?: Metrics;
}

/** An empty ledger. Throws `BrokenInvariant` for values that intake refuses. */
export function createLedger(options: LedgerOptions): Ledger {
  const ledger = new SignalLedger(options);
  options.metrics?.gauge({
    name: 'tidal_ledger_pairs',
    help: '(item, signal) pairs with at least one event.',
    read: () => ledger.pairs,
  });
  return ledger;
}

/** One signal, and its index in the schema. */
interface Signal {
  readonly index: number;
  readonly pairs: SignalPairs;
  readonly decay: Decay;
  readonly withDecay: boolean;
}

class SignalLedger implements Ledger {
  readonly upperBounds: UpperBounds;
  readonly past: Past;
  private readonly bySignal = new Map<string, Signal>();
  private readonly inOrder: readonly Signal[];
  readonly changes = new Changes();
  private readonly changedShards = new Uint8Array(SHARDS);
  private readonly loadedShards = new Uint8Array(SHARDS);
  private readonly upperBound: PairBound = { minutes: 0, day: 0, hours: 0, all: 0, decayKey: 0 };
  /** Marked pairs, whose upper bounds are not raised yet: signal and slot of each. */
  private readonly waiting = new Int32Array(2 * WAITING_LIMIT);
  private waitingWords = 0;
  /** Where packing continues. */
  private packing = { signal: 0, slot: 0 };

  constructor({ schema, entities = new Entities(), createdMs = () => -1, decayed = new Set() }: LedgerOptions) {
    this.inOrder = [...schema.signals.values()].map(({ name, halfLifeSeconds }, index) => {
      const decay = new Decay(halfLifeSeconds);
      return { index, decay, pairs: new SignalPairs({ decay, entities }), withDecay: decayed.has(name) };
    });
    // Ascending names: what is read in order must not depend on that of the schema file.
    const named = [...schema.signals.keys()].map((name, index) => [name, this.inOrder[index]!] as const);
    for (const [name, signal] of named.sort(([a], [b]) => (a < b ? -1 : 1))) this.bySignal.set(name, signal);
    this.past = new PastLedger([...this.bySignal].map(([name, { pairs }]) => [name, pairs] as const));
    this.upperBounds = new UpperBounds({
      entities,
      signals: this.inOrder.length,
      createdMs,
      catchUp: () => this.raiseWaiting(),
      onItem: (entity) => this.changes.note(entity),
      pair: (index, entity, fromMs, upperBound) => {
        const { pairs, withDecay } = this.inOrder[index]!;
        return pairs.upperBoundFrom(entity, fromMs, upperBound, withDecay);
      },
      decayed: (index, key, atMs) => this.inOrder[index]!.decay.ofKey(key, atMs),
    });
  }

  signal(name: string): SignalView | undefined {
    return this.bySignal.get(name)?.pairs;
  }

  get pairs(): number {
    let pairs = 0;
    for (const signal of this.inOrder) pairs += signal.pairs.table.size;
    return pairs;
  }

  has(entity: number, signal: string): boolean {
    return (this.bySignal.get(signal)?.pairs.table.find(entity) ?? -1) >= 0;
  }

  add(entity: number, signal: string, weight: number, timeMs: number): void {
    const found = this.signalFor(entity, signal, weight, timeMs);
    this.raiseLater(found, found.pairs.put(entity, weight, timeMs, 1));
    this.written(entity);
  }

  addColumns({ count, names, kinds, entities, weights, timesMs }: SignalColumns): void {
    const signals = names.map((name) => this.signalOf(name));
    for (let index = 0; index < count; index++) {
      const signal = signals[kinds[index]!]!;
      const entity = entities[index]!;
      checkNumbers(entity, weights[index]!, timesMs[index]!);
      this.raiseLater(signal, signal.pairs.put(entity, weights[index]!, timesMs[index]!, 1));
      this.written(entity);
    }
  }

  note(entity: number, signal: string, timeMs: number): void {
    const found = this.signalFor(entity, signal, 0, timeMs);
    this.raiseLater(found, found.pairs.put(entity, 0, timeMs, 0));
    this.written(entity);
  }

  retract(entity: number, signal: string, weight: number, timeMs: number): void {
    const { index, pairs } = this.signalFor(entity, signal, weight, timeMs);
    const slot = pairs.retract(entity, weight, timeMs);
    pairs.upperBound(slot, this.upperBound, false);
    this.upperBounds.took(index, pairs.table.ordinal(slot), this.upperBound.all);
    this.written(entity);
  }

  private written(entity: number): void {
    this.changedShards[shardOf(entity)] = 1;
    this.changes.note(entity);
  }

  /** A pair with many events between two searches has its upper bounds raised once. */
  private raiseLater({ index, pairs }: Signal, slot: number): void {
    if (!pairs.table.mark(slot)) return;
    this.waiting[this.waitingWords++] = index;
    this.waiting[this.waitingWords++] = slot;
    if (this.waitingWords === this.waiting.length) this.raiseWaiting();
  }

  private raiseWaiting(): void {
    for (let at = 0; at < this.waitingWords; at += 2) {
      const signal = this.inOrder[this.waiting[at]!]!;
      const slot = this.waiting[at + 1]!;
      signal.pairs.table.unmark(slot);
      this.raise(signal, slot);
    }
    this.waitingWords = 0;
  }

  private raise({ index, pairs, withDecay }: Signal, slot: number): void {
    const ordinal = pairs.table.ordinal(slot);
    const newest = pairs.newestMinute(slot);
    if (!withDecay && this.upperBounds.covers(index, ordinal, newest, pairs.all(slot))) return;
    pairs.upperBound(slot, this.upperBound, withDecay);
    this.upperBounds.raise(index, ordinal, newest, this.upperBound);
  }

  withoutFuture(upToMs: number): number {
    let changed = 0;
    for (const { pairs } of this.inOrder) {
      for (let slot = 0; slot < pairs.table.size; slot++) {
        if (!pairs.withoutFuture(slot, upToMs)) continue;
        this.changedShards[shardOf(pairs.table.entity(slot))] = 1;
        changed++;
      }
    }
    return changed;
  }

  private signalFor(entity: number, signal: string, weight: number, timeMs: number): Signal {
    checkNumbers(entity, weight, timeMs);
    return this.signalOf(signal);
  }

  private signalOf(name: string): Signal {
    const found = this.bySignal.get(name);
    if (found === undefined) throw new BrokenInvariant(`the ledger only sees signals of its schema: ${name}`);
    return found;
  }

  pack(limitPairs: number, beforeMs: number): void {
    const { signal, slot } = this.packing;
    const next = this.inOrder[signal]!.pairs.pack(slot, limitPairs, beforeMs);
    this.packing = next > 0 ? { signal, slot: next } : { signal: (signal + 1) % this.inOrder.length, slot: 0 };
  }

  read(entity: number, signal: string, atMs: number): SignalReading | undefined {
    return this.bySignal.get(signal)?.pairs.read(entity, atMs);
  }

  sum(entity: number, signal: string, window: Window, atMs: number): number {
    return this.bySignal.get(signal)?.pairs.sum(entity, window, atMs) ?? 0;
  }

  decayed(entity: number, signal: string, atMs: number): number {
    return this.bySignal.get(signal)?.pairs.decayed(entity, atMs) ?? 0;
  }

  shardOf(entity: number): number {
    return shardOf(entity);
  }

  changed(shard: number): boolean {
    return this.changedShards[shard] !== 0;
  }

  pass(): ShardPass {
    return new SlotPass({
      pairs: [...this.bySignal].map(([name, { pairs }]) => [name, pairs] as const),
      onEncoded: (shard) => {
        this.changedShards[shard] = 0;
      },
    });
  }

  load(shard: number, bytes: Uint8Array): void {
    const isEmpty = this.changedShards[shard] === 0 && this.loadedShards[shard] === 0;
    assert(isEmpty, 'a shard is loaded into an empty one', () => ({ shard }));
    const reader = new ShardReader(shard, bytes);
    // Signals are checked before the first pair is created: refused bytes leave the shard empty.
    const present: { readonly signal: Signal; readonly count: number }[] = [];
    for (let left = reader.varint(); left > 0; left--) {
      const name = reader.name();
      const signal = this.bySignal.get(name);
      if (signal === undefined) throw damaged(shard, `the schema has no signal ${JSON.stringify(name)}`);
      present.push({ signal, count: reader.varint() });
    }
    this.loadedShards[shard] = 1;
    for (const { signal, count } of present) {
      // Shards are divided by a hash: the others have about as many.
      if (signal.pairs.table.size === 0) signal.pairs.table.reserve(count * SHARDS);
      let entity = 0;
      for (let pair = 0; pair < count; pair++) {
        const step = reader.varint();
        assert(step > 0 || pair === 0, 'a shard has each pair once', () => ({ shard, entity }));
        entity += step;
        this.raise(signal, signal.pairs.decode(entity, reader));
      }
    }
    reader.end();
    this.changedShards[shard] = 0;
  }

  get digested(): readonly DigestedPart[] {
    return [...this.bySignal].map(([signal, { pairs }]) => new DigestedPairs(signal, pairs));
  }
}

class DigestedPairs implements DigestedPart {
  readonly signal: string;
  private readonly pairs: SignalPairs;

  constructor(signal: string, pairs: SignalPairs) {
    this.signal = signal;
    this.pairs = pairs;
  }

  get entries(): number {
    return this.pairs.table.size;
  }

  find(entity: number): number {
    return this.pairs.table.find(entity);
  }

  describe(slot: number, sink: ValueSink): void {
    sink.begin(this.pairs.table.entity(slot));
    sink.text(this.signal);
    this.pairs.describe(slot, sink);
    sink.end();
  }
}

function checkNumbers(entity: number, weight: number, timeMs: number): void {
  if (isCount(weight) && weight <= HEAVIEST && isCount(timeMs) && isCount(entity)) return;
  throw new BrokenInvariant(`the ledger takes integers in range: ${JSON.stringify({ entity, weight, timeMs })}`);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
