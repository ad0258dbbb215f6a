/**
 * Every entity of an applied item, delete, embedding or signal, with a small number, its ordinal: 0, 1, 2 … in order of first
 * use. Catalog, ledger, filter index, text index and vector index share the numbering, so that a set of entities is a list or a
 * bitmap of ordinals everywhere.
 *
 * Promise: an entity keeps its ordinal for the lifetime of the process, and no other entity ever has it. The order differs from
 * region to region and from start to start: nothing that is answered, stored or digested may depend on it.
 *
 * Open addressing over ordinals alone (4 bytes a slot, at most three quarters full), entities in pages that never move: 13 to 19
 * bytes an entity, and up to 8 more while the table grows.
 */
const PAGE_BITS = 12;
/** Ordinals of a page. */
export const ENTITIES_AT_ONCE = 1 << PAGE_BITS;
const PAGE_MASK = (1 << PAGE_BITS) - 1;
const FIRST_SLOTS = 1_024;
/** Entities that move to the grown table with each new one, so that growing never takes long. */
const MOVED_AT_ONCE = 8;
const TWO_32 = 4_294_967_296;

/**
 * Entities numbered 0, 1, 2 … in order of their addition. Open addressing over the numbers alone: 4 bytes a slot, at most three
 * quarters full. An entity is never removed.
 */
export abstract class EntityTable {
  /**
   * 0: empty. A power of two, so that number + 1 fits the bits that select a slot; the other bits are those of the hash, and
   * distinguish most entities without reading them.
   */
  private slots: Int32Array;
  /** While the table grows: the former slots, which still have the numbers from `moved` on. */
  private former: Int32Array | undefined;
  private formerSize = 0;
  private moved = 0;
  /** Numbers are 0 … size − 1. */
  size = 0;

  constructor(firstSlots: number) {
    this.slots = new Int32Array(firstSlots);
  }

  /** `number` < {@link size}. */
  abstract entity(number: number): number;

  /** Whether the number is the entity's. */
  protected abstract is(number: number, entity: number): boolean;

  /** −1 if it has no number. */
  find(entity: number): number {
    const number = this.findIn(this.slots, entity);
    return number >= 0 || this.former === undefined ? number : this.findIn(this.former, entity);
  }

  private findIn(slots: Int32Array, entity: number): number {
    const mask = slots.length - 1;
    const hash = hashOf(entity);
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const content = slots[slot]!;
      if (content === 0) return -1;
      if (((content ^ hash) & ~mask) === 0 && this.is((content & mask) - 1, entity)) return (content & mask) - 1;
    }
  }

  /** Gives the next number to an entity that has none. */
  protected number(entity: number): number {
    if (this.former !== undefined) this.moveSome();
    else if ((this.size + 1) * 4 > this.slots.length * 3) this.growTo(this.slots.length * 2);
    this.place(entity, this.size);
    return this.size++;
  }

  /** Reserves capacity for this many, so that they are not rehashed repeatedly. */
  reserve(count: number): void {
    let length = this.slots.length;
    while (count * 4 > length * 3) length *= 2;
    if (length === this.slots.length) return;
    while (this.former !== undefined) this.moveSome();
    this.growTo(length);
  }

  private place(entity: number, number: number): void {
    const mask = this.slots.length - 1;
    const hash = hashOf(entity);
    let slot = hash & mask;
    while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
    this.slots[slot] = (hash & ~mask) | (number + 1);
  }

  private growTo(length: number): void {
    this.former = this.slots;
    this.formerSize = this.size;
    this.moved = 0;
    this.slots = new Int32Array(length);
  }

  /** All are moved long before the table has to grow again. */
  private moveSome(): void {
    const end = Math.min(this.formerSize, this.moved + MOVED_AT_ONCE);
    for (; this.moved < end; this.moved++) this.place(this.entity(this.moved), this.moved);
    if (this.moved === this.formerSize) this.former = undefined;
  }
}

export class Entities extends EntityTable {
  private readonly pages: Float64Array[] = [];

  constructor() {
    super(FIRST_SLOTS);
  }

  /** The entity's ordinal, assigned now if it had none. */
  ordinal(entity: number): number {
    const known = this.find(entity);
    if (known >= 0) return known;
    const ordinal = this.number(entity);
    if (ordinal >> PAGE_BITS === this.pages.length) this.pages.push(new Float64Array(1 << PAGE_BITS));
    this.pages[ordinal >> PAGE_BITS]![ordinal & PAGE_MASK] = entity;
    return ordinal;
  }

  entity(ordinal: number): number {
    return this.pages[ordinal >> PAGE_BITS]![ordinal & PAGE_MASK]!;
  }

  /** By index, the entities of the ordinals from this multiple of {@link ENTITIES_AT_ONCE} on; read-only. */
  page(first: number): Float64Array {
    return this.pages[first >> PAGE_BITS]!;
  }

  protected is(ordinal: number, entity: number): boolean {
    return this.entity(ordinal) === entity;
  }
}

/** 32 mixed bits of an integer below 2^53 (the finalizer of MurmurHash3): the same in every process and version. */
export function hashOf(entity: number): number {
  let bits = (entity >>> 0) ^ Math.imul(Math.floor(entity / TWO_32), 0x9e3779b1);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
