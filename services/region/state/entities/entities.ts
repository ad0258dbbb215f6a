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
const PAGE_MASK = (1 << PAGE_BITS) - 1;
const FIRST_PLACES = 1_024;
/** Entities that move to the grown table with each new one, so that growing never takes long. */
const MOVED_AT_ONCE = 8;
const TWO_32 = 4_294_967_296;

export class Entities {
  /** Ordinal + 1; 0: empty. A power of two. */
  private places = new Int32Array(FIRST_PLACES);
  private readonly pages: Float64Array[] = [];
  private count = 0;
  /** While the table grows: the former slots, which still have the ordinals from `moved` on. */
  private former: Int32Array | undefined;
  private formerCount = 0;
  private moved = 0;

  /** Ordinals are 0 … size − 1. */
  get size(): number {
    return this.count;
  }

  /** −1 if it has no ordinal. */
  find(entity: number): number {
    const ordinal = this.findIn(this.places, entity);
    return ordinal >= 0 || this.former === undefined ? ordinal : this.findIn(this.former, entity);
  }

  private findIn(places: Int32Array, entity: number): number {
    const mask = places.length - 1;
    for (let place = hashOf(entity) & mask; ; place = (place + 1) & mask) {
      const ordinal = places[place]! - 1;
      if (ordinal < 0 || this.entity(ordinal) === entity) return ordinal;
    }
  }

  /** The entity's ordinal, assigned now if it had none. */
  ordinal(entity: number): number {
    const mask = this.places.length - 1;
    let place = hashOf(entity) & mask;
    for (; this.places[place] !== 0; place = (place + 1) & mask) {
      const known = this.places[place]! - 1;
      if (this.entity(known) === entity) return known;
    }
    const former = this.former === undefined ? -1 : this.findIn(this.former, entity);
    if (former >= 0) return former;
    const ordinal = this.count++;
    if (ordinal >> PAGE_BITS === this.pages.length) this.pages.push(new Float64Array(1 << PAGE_BITS));
    this.pages[ordinal >> PAGE_BITS]![ordinal & PAGE_MASK] = entity;
    this.places[place] = ordinal + 1;
    if (this.former !== undefined) this.moveSome();
    else if (this.count * 4 > this.places.length * 3) this.growTo(this.places.length * 2);
    return ordinal;
  }

  /** `ordinal` < {@link size}. */
  entity(ordinal: number): number {
    return this.pages[ordinal >> PAGE_BITS]![ordinal & PAGE_MASK]!;
  }

  /** Reserves capacity for this many, so that they are not rehashed repeatedly. */
  reserve(count: number): void {
    let length = this.places.length;
    while (count * 4 > length * 3) length *= 2;
    if (length === this.places.length) return;
    while (this.former !== undefined) this.moveSome();
    this.growTo(length);
  }

  private place(entity: number, ordinal: number): void {
    const mask = this.places.length - 1;
    let place = hashOf(entity) & mask;
    while (this.places[place] !== 0) place = (place + 1) & mask;
    this.places[place] = ordinal + 1;
  }

  private growTo(length: number): void {
    this.former = this.places;
    this.formerCount = this.count;
    this.moved = 0;
    this.places = new Int32Array(length);
  }

  /** All are moved long before the table has to grow again. */
  private moveSome(): void {
    const end = Math.min(this.formerCount, this.moved + MOVED_AT_ONCE);
    for (; this.moved < end; this.moved++) this.place(this.entity(this.moved), this.moved);
    if (this.moved === this.formerCount) this.former = undefined;
  }
}

/** 32 mixed bits of an integer below 2^53 (the finalizer of MurmurHash3): the same in every process and version. */
export function hashOf(entity: number): number {
  let bits = (entity >>> 0) ^ Math.imul(Math.floor(entity / TWO_32), 0x9e3779b1);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
