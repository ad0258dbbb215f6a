/**
 * The vectors themselves, of length 1 (or 0), in typed arrays: the graph is built, and every similarity computed, from them.
 *
 * Slots are small numbers of entities; a slot is reused after its entity's vector was removed. Vectors are in pages that never
 * move: growing copies none of them.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';
import { similarity, unit } from './cosine.ts';

const PAGE_BITS = 12;
const PAGE_MASK = (1 << PAGE_BITS) - 1;
const FIRST_SLOTS = 1 << PAGE_BITS;
const NONE = -1;

export class VectorTable {
  readonly dimensions: number;
  private readonly pages: Float32Array[] = [];
  /** By slot; `NONE` if there is none. */
  private entities = new Float64Array(FIRST_SLOTS).fill(NONE);
  /** By slot. */
  private ordinals = new Int32Array(FIRST_SLOTS);
  /** Two words a slot. */
  private prints = new Uint32Array(2 * FIRST_SLOTS);
  /** By ordinal; `NONE` if there is no vector. */
  private slots = new Int32Array(FIRST_SLOTS).fill(NONE);
  private readonly freeSlots: number[] = [];
  private usedSlots = 0;
  private count = 0;

  constructor(dimensions: number) {
    this.dimensions = dimensions;
  }

  get size(): number {
    return this.count;
  }

  /** Slots in use are below this. */
  get slotLimit(): number {
    return this.usedSlots;
  }

  /** The slot the vector has now. The ordinal must have none. */
  add(ordinal: number, entity: number, values: Float32Array): number {
    assert(this.slotAt(ordinal) === undefined, 'an entity has one vector', () => entity);
    const slot = this.freeSlots.pop() ?? this.usedSlots++;
    if (slot === this.entities.length) this.growSlots();
    if (slot >> PAGE_BITS === this.pages.length) {
      this.pages.push(new Float32Array((1 << PAGE_BITS) * this.dimensions));
    }
    while (ordinal >= this.slots.length) this.growOrdinals();
    this.slots[ordinal] = slot;
    this.entities[slot] = entity;
    this.ordinals[slot] = ordinal;
    const page = this.pages[slot >> PAGE_BITS]!;
    const at = (slot & PAGE_MASK) * this.dimensions;
    page.set(unit(values), at);
    fingerprint(entity, page, at, this.dimensions, this.prints, 2 * slot);
    this.count++;
    return slot;
  }

  /** The slot the vector had, if there was one. */
  remove(ordinal: number): number | undefined {
    const slot = this.slotAt(ordinal);
    if (slot === undefined) return undefined;
    this.slots[ordinal] = NONE;
    this.entities[slot] = NONE;
    this.freeSlots.push(slot);
    this.count--;
    return slot;
  }

  slotAt(ordinal: number): number | undefined {
    const slot = ordinal < this.slots.length ? this.slots[ordinal]! : NONE;
    return slot === NONE ? undefined : slot;
  }

  /** The entity of a slot, if one has it. */
  entityAt(slot: number): number | undefined {
    const entity = this.entities[slot]!;
    return entity === NONE ? undefined : entity;
  }

  /** Of a slot in use. */
  ordinalAt(slot: number): number {
    return this.ordinals[slot]!;
  }

  vectorAt(slot: number): Float32Array {
    const at = (slot & PAGE_MASK) * this.dimensions;
    return this.pages[slot >> PAGE_BITS]!.subarray(at, at + this.dimensions);
  }

  /** A 64-bit hash of entity and vector, in two words. */
  printAt(slot: number): readonly [number, number] {
    return [this.prints[2 * slot]!, this.prints[2 * slot + 1]!];
  }

  /** Of the slot's vector to a `unit` vector. */
  similarity(slot: number, query: Float64Array): number {
    return similarity(query, this.pages[slot >> PAGE_BITS]!, (slot & PAGE_MASK) * this.dimensions);
  }

  private growSlots(): void {
    const entities = new Float64Array(this.entities.length * 2).fill(NONE);
    entities.set(this.entities);
    this.entities = entities;
    const ordinals = new Int32Array(this.ordinals.length * 2);
    ordinals.set(this.ordinals);
    this.ordinals = ordinals;
    const prints = new Uint32Array(this.prints.length * 2);
    prints.set(this.prints);
    this.prints = prints;
  }

  private growOrdinals(): void {
    const slots = new Int32Array(this.slots.length * 2).fill(NONE);
    slots.set(this.slots);
    this.slots = slots;
  }
}

const ENTITY = new Float64Array(1);
const ENTITY_WORDS = new Uint32Array(ENTITY.buffer);

/** Two runs of MurmurHash3's mixing (32 bits each, another seed) over the entity and the bits of its vector. */
function fingerprint(
  entity: number,
  page: Float32Array,
  at: number,
  dimensions: number,
  into: Uint32Array,
  index: number,
): void {
  const bits = new Uint32Array(page.buffer, page.byteOffset + 4 * at, dimensions);
  ENTITY[0] = entity;
  let low = mix(mix(0x9747b28c, ENTITY_WORDS[0]!), ENTITY_WORDS[1]!);
  let high = mix(mix(0x3c6ef372, ENTITY_WORDS[1]!), ENTITY_WORDS[0]!);
  for (let i = 0; i < dimensions; i++) {
    low = mix(low, bits[i]!);
    high = mix(high, bits[dimensions - 1 - i]!);
  }
  into[index] = low;
  into[index + 1] = high;
}

function mix(state: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const h = state ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}
