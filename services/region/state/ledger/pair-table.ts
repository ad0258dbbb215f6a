/**
 * The pairs of one signal: entity → slot, and the fixed record of each slot.
 *
 * Open addressing over slot numbers alone (4 bytes a place); the entity itself is read from the record. Records live in
 * pages that never move. A pair is never removed.
 */
import { hashOf } from '../entities/entities.ts';

/** Fields of a record, 64-bit floats: integers below 2^53 each. */
const ENTITY = 0;
/** Low limb of the sum of all weights, thousandths. */
export const SUM = 1;
export const COUNT = 2;
export const FIRST_MS = 3;
/** The latest event time. The newest bucket of every ring and the newest decay cell follow from it. */
export const LAST_MS = 4;
/** Low limb of the newest decay cell. */
export const CELL = 5;
const FIELDS = 6;

/** Links of a record: 0 for none. */
export const RINGS = 0;
export const OLDER_CELLS = 1;
const LINKS = 2;

const PAGE_BITS = 10;
const PAGE_MASK = (1 << PAGE_BITS) - 1;
const FIRST_PLACES = 64;

export class PairTable {
  /** Slot + 1; 0: empty. A power of two, at most three quarters full. */
  private places = new Int32Array(FIRST_PLACES);
  private readonly records: Float64Array[] = [];
  private readonly linkPages: Int32Array[] = [];
  /** Number of pairs; slots are 0 … size − 1. */
  size = 0;

  /** −1: no such pair. */
  find(entity: number): number {
    const mask = this.places.length - 1;
    for (let place = hashOf(entity) & mask; ; place = (place + 1) & mask) {
      const slot = this.places[place]! - 1;
      if (slot < 0 || this.entity(slot) === entity) return slot;
    }
  }

  /** A pair that was not there before has a count of 0. */
  findOrAdd(entity: number): number {
    const found = this.find(entity);
    if (found >= 0) return found;
    if ((this.size + 1) * 4 > this.places.length * 3) this.grow();
    const slot = this.size++;
    if (slot >> PAGE_BITS === this.records.length) {
      this.records.push(new Float64Array(FIELDS << PAGE_BITS));
      this.linkPages.push(new Int32Array(LINKS << PAGE_BITS));
    }
    this.record(slot)[this.field(slot) + ENTITY] = entity;
    this.place(entity, slot);
    return slot;
  }

  entity(slot: number): number {
    return this.record(slot)[this.field(slot) + ENTITY]!;
  }

  /** The page of the slot's record; it begins at {@link field}. */
  record(slot: number): Float64Array {
    return this.records[slot >> PAGE_BITS]!;
  }

  field(slot: number): number {
    return (slot & PAGE_MASK) * FIELDS;
  }

  /** The page of the slot's links; they begin at {@link link}. */
  links(slot: number): Int32Array {
    return this.linkPages[slot >> PAGE_BITS]!;
  }

  link(slot: number): number {
    return (slot & PAGE_MASK) * LINKS;
  }

  private place(entity: number, slot: number): void {
    const mask = this.places.length - 1;
    let place = hashOf(entity) & mask;
    while (this.places[place] !== 0) place = (place + 1) & mask;
    this.places[place] = slot + 1;
  }

  private grow(): void {
    this.places = new Int32Array(this.places.length * 2);
    for (let slot = 0; slot < this.size; slot++) this.place(this.entity(slot), slot);
  }
}

/** 0 … 255, from the bits of the hash that find no place in the table: the same in every process, for ever. */
export function shardOf(entity: number): number {
  return hashOf(entity) >>> 24;
}
