/**
 * One checkpoint run over the shards of a ledger. The slots that exist at its beginning are sorted by shard once, so that a shard
 * is written without visiting the others; slots are never freed, so the order stays valid while events are added, and only the
 * few pairs created since are beyond it.
 *
 * Memory: 4 bytes a pair during the run.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';
import { SHARDS, type ShardPass } from './ledger.ts';
import { ShardWriter, shardOf } from './shards/shards.ts';
import type { SignalPairs } from './signal-pairs.ts';

/** About the bytes of a quiet pair: the initial size of a writer. */
const PAIR_BYTES = 32;

export class SlotPass implements ShardPass {
  private readonly signals: readonly SignalSlots[];
  private readonly onEncoded: (shard: number) => void;

  constructor(options: {
    readonly pairs: Iterable<readonly [signal: string, pairs: SignalPairs]>;
    readonly onEncoded: (shard: number) => void;
  }) {
    this.signals = [...options.pairs].map(([name, pairs]) => new SignalSlots(name, pairs));
    this.onEncoded = options.onEncoded;
  }

  prepare(limitPairs: number): boolean {
    let left = limitPairs;
    for (const slots of this.signals) {
      left -= slots.sort(left);
      if (!slots.sorted) return false;
    }
    return true;
  }

  encode(shard: number): Uint8Array {
    assert(
      this.signals.every(({ sorted }) => sorted),
      'a pass is prepared before a shard is encoded',
    );
    const present = this.signals
      .map((slots) => ({ name: slots.name, pairs: slots.pairs, entities: slots.entities(shard) }))
      .filter(({ entities }) => entities.length > 0);
    const total = present.reduce((sum, { entities }) => sum + entities.length, 0);
    const writer = new ShardWriter(shard, total * PAIR_BYTES);
    writer.reserve(8);
    writer.varint(present.length);
    for (const { name, entities } of present) {
      writer.name(name);
      writer.reserve(8);
      writer.varint(entities.length);
    }
    for (const { pairs, entities } of present) {
      let before = 0;
      for (const entity of entities) {
        pairs.encode(entity, entity - before, writer);
        before = entity;
      }
    }
    this.onEncoded(shard);
    return writer.take();
  }
}

/** The slots of one signal, sorted by shard: counted first, then placed. */
class SignalSlots {
  readonly name: string;
  readonly pairs: SignalPairs;
  /** Number of slots when the run began. */
  private readonly count: number;
  private readonly slots: Int32Array;
  /** After counting: the start of each shard, and one more for the end. While placing: the index of its next slot. */
  private readonly starts = new Int32Array(SHARDS + 1);
  private readonly next = new Int32Array(SHARDS);
  private counted = 0;
  private placed = 0;

  constructor(name: string, pairs: SignalPairs) {
    this.name = name;
    this.pairs = pairs;
    this.count = pairs.table.size;
    this.slots = new Int32Array(this.count);
  }

  get sorted(): boolean {
    return this.placed === this.count;
  }

  /** Handles about `limit` slots; returns how many. */
  sort(limit: number): number {
    const { table } = this.pairs;
    let handled = 0;
    for (; this.counted < this.count && handled < limit; handled++) {
      this.starts[shardOf(table.entity(this.counted++)) + 1]! += 1;
      if (this.counted === this.count) this.sumUp();
    }
    if (this.counted < this.count) return handled;
    for (; this.placed < this.count && handled < limit; handled++) {
      const shard = shardOf(table.entity(this.placed));
      this.slots[this.next[shard]!++] = this.placed++;
    }
    return handled;
  }

  private sumUp(): void {
    for (let shard = 0; shard < SHARDS; shard++) {
      this.starts[shard + 1]! += this.starts[shard]!;
      this.next[shard] = this.starts[shard]!;
    }
  }

  /** The shard's entities as they are now, ascending. */
  entities(shard: number): Float64Array {
    const { table } = this.pairs;
    const opened: number[] = [];
    for (let slot = this.count; slot < table.size; slot++) {
      const entity = table.entity(slot);
      if (shardOf(entity) === shard) opened.push(entity);
    }
    const start = this.starts[shard]!;
    const sorted = this.starts[shard + 1]! - start;
    const entities = new Float64Array(sorted + opened.length);
    for (let index = 0; index < sorted; index++) entities[index] = table.entity(this.slots[start + index]!);
    entities.set(opened, sorted);
    return entities.sort();
  }
}
