/** The ledger behind its contract: one {@link SignalPairs} for each signal of the schema. */
import { BrokenInvariant } from '../../../../shared/kernel/kernel.ts';
import { WEIGHT_LIMIT, WEIGHT_SCALE } from '../../../../shared/protocol/events.ts';
import type { Schema, Window } from '../../../../shared/schema/schema.ts';
import type { Entities } from '../entities/entities.ts';
import { Decay } from './decay.ts';
import { type Ledger, type PairSink, SHARDS, type ShardPass, type SignalReading } from './ledger.ts';
import { shardOf } from './pair-table.ts';
import { damaged, ShardReader } from './shard-codec.ts';
import { SlotPass } from './shard-pass.ts';
import { SignalPairs } from './signal-pairs.ts';

const HEAVIEST = WEIGHT_LIMIT * WEIGHT_SCALE;

/** An empty ledger; with a numbering of its own where it shares none. Throws `BrokenInvariant` for what intake lets nobody write. */
export function createLedger(options: { schema: Pick<Schema, 'signals'>; entities?: Entities }): Ledger {
  return new SignalLedger(options);
}

class SignalLedger implements Ledger {
  private readonly bySignal = new Map<string, SignalPairs>();
  private readonly changedShards = new Uint8Array(SHARDS);

  constructor(options: { schema: Pick<Schema, 'signals'>; entities?: Entities }) {
    // Ascending names: the order in which `describe` speaks must not depend on the schema file's.
    const definitions = [...options.schema.signals.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const { name, halfLifeSeconds } of definitions) {
      this.bySignal.set(name, new SignalPairs(new Decay(halfLifeSeconds)));
    }
  }

  get pairs(): number {
    let pairs = 0;
    for (const { table } of this.bySignal.values()) pairs += table.size;
    return pairs;
  }

  add(entity: number, signal: string, weight: number, timeMs: number): void {
    this.pairsFor(entity, signal, weight, timeMs).put(entity, weight, timeMs, 1);
    this.changedShards[shardOf(entity)] = 1;
  }

  note(entity: number, signal: string, timeMs: number): void {
    this.pairsFor(entity, signal, 0, timeMs).put(entity, 0, timeMs, 0);
    this.changedShards[shardOf(entity)] = 1;
  }

  retract(entity: number, signal: string, weight: number, timeMs: number): void {
    this.pairsFor(entity, signal, weight, timeMs).retract(entity, weight, timeMs);
    this.changedShards[shardOf(entity)] = 1;
  }

  private pairsFor(entity: number, signal: string, weight: number, timeMs: number): SignalPairs {
    const pairs = this.bySignal.get(signal);
    if (pairs === undefined) throw new BrokenInvariant(`the ledger only sees signals of its schema: ${signal}`);
    if (!isCount(weight) || weight > HEAVIEST || !isCount(timeMs) || !isCount(entity)) {
      throw new BrokenInvariant(`the ledger takes integers in range: ${JSON.stringify({ entity, weight, timeMs })}`);
    }
    return pairs;
  }

  read(entity: number, signal: string, atMs: number): SignalReading | undefined {
    return this.bySignal.get(signal)?.read(entity, atMs);
  }

  sum(entity: number, signal: string, window: Window, atMs: number): number {
    const pairs = this.bySignal.get(signal);
    return pairs === undefined ? 0 : pairs.sum(entity, window, atMs);
  }

  decayed(entity: number, signal: string, atMs: number): number {
    const pairs = this.bySignal.get(signal);
    return pairs === undefined ? 0 : pairs.decayed(entity, atMs);
  }

  sortKey(entity: number, signal: string): number {
    return this.bySignal.get(signal)?.sortKey(entity) ?? Number.NEGATIVE_INFINITY;
  }

  shardOf(entity: number): number {
    return shardOf(entity);
  }

  changed(shard: number): boolean {
    return this.changedShards[shard] !== 0;
  }

  pass(): ShardPass {
    return new SlotPass({
      pairs: this.bySignal,
      onEncoded: (shard) => {
        this.changedShards[shard] = 0;
      },
    });
  }

  load(shard: number, bytes: Uint8Array): void {
    const reader = new ShardReader(shard, bytes);
    // Every signal is known before the first pair is opened: bytes that are refused leave the shard empty.
    const present: { readonly pairs: SignalPairs; readonly count: number }[] = [];
    for (let left = reader.varint(); left > 0; left--) {
      const name = reader.name();
      const pairs = this.bySignal.get(name);
      if (pairs === undefined) throw damaged(shard, `the schema has no signal ${JSON.stringify(name)}`);
      present.push({ pairs, count: reader.varint() });
    }
    for (const { pairs, count } of present) {
      let entity = 0;
      for (let left = count; left > 0; left--) {
        entity += reader.varint();
        pairs.decode(entity, reader);
      }
    }
    reader.end();
    this.changedShards[shard] = 0;
  }

  describe(sink: PairSink): void {
    for (const entity of this.entities()) {
      for (const signal of this.bySignal.keys()) this.describePair(entity, signal, sink);
    }
  }

  describePair(entity: number, signal: string, sink: PairSink): void {
    const pairs = this.bySignal.get(signal);
    const slot = pairs?.table.find(entity) ?? -1;
    if (pairs !== undefined && slot >= 0) sink(entity, [signal, ...pairs.describe(slot)]);
  }

  *described(): Generator<{ entity: number; signal: string }> {
    for (const [signal, { table }] of this.bySignal) {
      for (let slot = 0; slot < table.size; slot++) yield { entity: table.entity(slot), signal };
    }
  }

  /** Ascending, each once. */
  private entities(): Iterable<number> {
    const all = new Set<number>();
    for (const { table } of this.bySignal.values()) {
      for (let slot = 0; slot < table.size; slot++) all.add(table.entity(slot));
    }
    return Float64Array.from(all).sort();
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
