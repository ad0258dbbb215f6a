/**
 * Builds sets of very many members in any order: it sorts once at the end, where a {@link MemberPool} keeps the order with each
 * member. A set of one is that member; for others each member is stored with its set.
 */

import { BrokenInvariant } from '../../../../shared/kernel/kernel.ts';
import { grown } from '../memory/memory.ts';
import { type MemberPool, type MemberSet, NO_MEMBERS } from './member-pool.ts';

const FIRST_NOTES = 1_024;
const FIRST_SETS = 64;

export class MemberGathering {
  /** Members, and beside each the number of its set. */
  private members: Int32Array<ArrayBuffer>;
  private sets: Int32Array<ArrayBuffer>;
  private notes = 0;
  /** By number of a set. */
  private counts = new Int32Array(FIRST_SETS);
  private latest = new Int32Array(FIRST_SETS);
  private setCount = 0;

  /** `room`: initial capacity, in members. The system allocates memory at the first access. */
  constructor({ room = FIRST_NOTES }: { room?: number | undefined } = {}) {
    this.members = new Int32Array(room);
    this.sets = new Int32Array(room);
  }

  sizeOf(set: MemberSet): number {
    if (set >= 0) return 1;
    return set === NO_MEMBERS ? 0 : this.counts[~set]!;
  }

  /** Any of them. Not for {@link NO_MEMBERS}. */
  lowestOf(set: MemberSet): number {
    return set >= 0 ? set : this.latest[~set]!;
  }

  /** The values of one item are added consecutively, so a repeated member is detected by the last one. */
  with(set: MemberSet, member: number): MemberSet {
    if (set === NO_MEMBERS || set === member) return member;
    if (set < 0) {
      if (this.latest[~set] !== member) this.note(~set, member);
      return set;
    }
    const number = this.setCount++;
    if (number === this.counts.length) {
      this.counts = grown(this.counts, number + 1);
      this.latest = grown(this.latest, number + 1);
    }
    this.note(number, set);
    this.note(number, member);
    return ~number;
  }

  without(): never {
    throw new BrokenInvariant('what is gathered is not taken away');
  }

  private note(number: number, member: number): void {
    if (this.notes === this.members.length) {
      this.members = grown(this.members, this.notes + 1);
      this.sets = grown(this.sets, this.notes + 1);
    }
    this.members[this.notes] = member;
    this.sets[this.notes++] = number;
    this.counts[number]!++;
    this.latest[number] = member;
  }

  /** Puts all sets into a pool, each member as `numbers` has it; returns the new number of each set. */
  finish(pool: MemberPool, numbers: Int32Array): (set: MemberSet) => MemberSet {
    const ends = new Int32Array(this.setCount);
    for (let number = 1; number < this.setCount; number++) ends[number] = ends[number - 1]! + this.counts[number - 1]!;
    const ordinals = new Int32Array(this.notes);
    for (let note = 0; note < this.notes; note++) {
      ordinals[ends[this.sets[note]!]!++] = numbers[this.members[note]!]!;
    }
    const settled = new Int32Array(this.setCount);
    for (let number = 0; number < this.setCount; number++) {
      const end = ends[number]!;
      settled[number] = pool.of(ordinals.subarray(end - this.counts[number]!, end));
    }
    return (set) => {
      if (set === NO_MEMBERS) return NO_MEMBERS;
      return set >= 0 ? numbers[set]! : settled[~set]!;
    };
  }
}
