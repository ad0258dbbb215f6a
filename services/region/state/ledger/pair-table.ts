/**
 * The pairs of one signal: entity → slot, and the fixed record of each slot.
 *
 * Open addressing over slot numbers alone (4 bytes an entry); the low half of the entity is read from the record, the whole of it
 * from the shared numbering. Records are in pages that never move. A pair is never removed.
 *
 * A pair takes 32 bytes of sums and times, 20 of links, and 5.3 to 10.7 of the hash table: 57 to 63 while it is cold.
 */
import { type Entities, EntityTable } from '../entities/entities.ts';

/** Fields of a record, 64-bit floats: integers below 2^53 each. The first: low limb of the sum of all weights, thousandths. */
export const SUM = 0;
export const FIRST_MS = 1;
/** The latest event time. The newest bucket of every ring and the newest decay bucket follow from it. */
export const LAST_MS = 2;
/** Low limb of the newest decay bucket. */
export const DECAY_BUCKET = 3;
const FIELDS = 4;

/** Links of a record, 32 bits each; the first two: 0 for none. */
export const RINGS = 0;
export const OLDER_BUCKETS = 1;
/** Low limb of the number of events, unsigned. */
export const COUNT = 2;
/** Its highest bit: the pair is marked. */
const ORDINAL = 3;
const ENTITY_LOW = 4;
const LINKS = 5;

const PAGE_BITS = 10;
const PAGE_MASK = (1 << PAGE_BITS) - 1;
const FIRST_SLOTS = 64;
const MARK = 1 << 31;
const TWO_32 = 4_294_967_296;

export class PairTable extends EntityTable {
  private readonly entities: Entities;
  private readonly records: Float64Array[] = [];
  private readonly linkPages: Int32Array[] = [];
  /** Whether low halves alone distinguish the entities of this table. */
  private lowOnly = true;
  constructor(entities: Entities) {
    super(FIRST_SLOTS);
    this.entities = entities;
  }

  /** Adds a pair that does not exist; its count is 0. Returns its slot. */
  add(entity: number): number {
    const slot = this.number(entity);
    if (slot >> PAGE_BITS === this.records.length) {
      this.records.push(new Float64Array(FIELDS << PAGE_BITS));
      this.linkPages.push(new Int32Array(LINKS << PAGE_BITS));
    }
    if (entity >= TWO_32) this.lowOnly = false;
    const links = this.links(slot);
    const link = this.link(slot);
    links[link + ORDINAL] = this.entities.ordinal(entity);
    links[link + ENTITY_LOW] = entity | 0;
    return slot;
  }

  ordinal(slot: number): number {
    return this.links(slot)[this.link(slot) + ORDINAL]! & ~MARK;
  }

  /** Marks the pair; false if it is marked already. */
  mark(slot: number): boolean {
    const links = this.links(slot);
    const at = this.link(slot) + ORDINAL;
    if (links[at]! < 0) return false;
    links[at]! |= MARK;
    return true;
  }

  unmark(slot: number): void {
    this.links(slot)[this.link(slot) + ORDINAL]! &= ~MARK;
  }

  entity(slot: number): number {
    if (this.lowOnly) return this.links(slot)[this.link(slot) + ENTITY_LOW]! >>> 0;
    return this.entities.entity(this.ordinal(slot));
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

  protected is(slot: number, entity: number): boolean {
    if (this.links(slot)[this.link(slot) + ENTITY_LOW] !== (entity | 0)) return false;
    return (this.lowOnly && entity < TWO_32) || this.entity(slot) === entity;
  }
}
