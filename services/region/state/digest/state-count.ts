/**
 * One count of the state: the digest of what was stored when the count began, although batches are applied meanwhile.
 *
 * It walks through the entries that there were at the beginning, in the order of their numbers. Before a batch changes an entry that
 * the walk has not reached, the entry is counted and marked, and the walk skips it. So every entry is hashed once, however many
 * events change it, and a count needs a bit an entry. Entries that a batch adds have higher numbers and are not part of it.
 */
import type { Batch } from '../../batch/batch.ts';
import type { Digested, DigestedPart } from './digest.ts';
import { DigestSum } from './value-hash.ts';

/** Limit of the units that are hashed in one slice: a few long values end it as well. */
const SLICE_UNITS = 262_144;

interface CountedPart {
  readonly part: DigestedPart;
  /** Its index in the order of the walk. */
  readonly index: number;
  /** Number of entries when the count began. */
  readonly entries: number;
  /** A bit for each entry that was counted before the walk reached it. */
  readonly marks: Uint8Array;
}

export class StateCount {
  private readonly sum = new DigestSum();
  private readonly parts: readonly CountedPart[];
  private readonly registers: CountedPart;
  private readonly bySignal: ReadonlyMap<string | undefined, CountedPart>;
  /** The walk's next entry. */
  private at = 0;
  private next = 0;

  /** Counts the present state. */
  constructor(states: readonly Digested[]) {
    this.parts = states
      .flatMap(({ digested }) => digested)
      .map((part, index) => ({ part, index, entries: part.entries, marks: new Uint8Array((part.entries + 7) >>> 3) }));
    this.bySignal = new Map(this.parts.map((counted) => [counted.part.signal, counted]));
    this.registers = this.bySignal.get(undefined)!;
  }

  /** 32 hexadecimal digits; undefined while it is counting. */
  get digest(): string | undefined {
    return this.at === this.parts.length ? this.sum.hex() : undefined;
  }

  /** To be called before the batch is applied: until then nothing else changes the state. */
  applying(batch: Batch): void {
    const { signals } = batch;
    if (signals === undefined) {
      for (const event of batch.events) {
        const isOfPair = event.kind === 'signal' || event.kind === 'retraction';
        this.countAhead(isOfPair ? this.bySignal.get(event.signal)! : this.registers, event.entity);
      }
      return;
    }
    const { count, names, kinds, entities } = signals;
    const parts = names.map((name) => this.bySignal.get(name)!);
    for (let index = 0; index < count; index++) this.countAhead(parts[kinds[index]!]!, entities[index]!);
  }

  private countAhead({ part, index, entries, marks }: CountedPart, entity: number): void {
    if (index < this.at) return;
    const entry = part.find(entity);
    if (entry < 0 || entry >= entries || (index === this.at && entry < this.next)) return;
    const mark = 1 << (entry & 7);
    if ((marks[entry >>> 3]! & mark) !== 0) return;
    marks[entry >>> 3]! |= mark;
    part.describe(entry, this.sum);
  }

  /** Walks on, by at most so many entries. */
  slice(limitEntries: number): void {
    const endUnits = this.sum.hashed + SLICE_UNITS;
    let left = limitEntries;
    while (this.at < this.parts.length) {
      const { part, entries, marks } = this.parts[this.at]!;
      for (; this.next < entries; this.next++) {
        if (left-- === 0 || this.sum.hashed >= endUnits) return;
        if ((marks[this.next >>> 3]! & (1 << (this.next & 7))) === 0) part.describe(this.next, this.sum);
      }
      this.at++;
      this.next = 0;
    }
  }
}
