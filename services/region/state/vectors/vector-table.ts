/**
 * The vectors themselves, of length 1 (or 0), in one typed array: the exact truth the graph is built from.
 *
 * Slots are small numbers that stand for entities; a slot is used again after its entity is removed.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';

const FIRST_SLOTS = 1_024;
const FREE = -1;

export class VectorTable {
  readonly dimensions: number;
  private values: Float32Array;
  /** By slot; `FREE` where there is none. */
  private entities = new Float64Array(FIRST_SLOTS).fill(FREE);
  private readonly slots = new Map<number, number>();
  private readonly freeSlots: number[] = [];
  private usedSlots = 0;

  constructor(dimensions: number) {
    this.dimensions = dimensions;
    this.values = new Float32Array(FIRST_SLOTS * dimensions);
  }

  get size(): number {
    return this.slots.size;
  }

  /** Slots in use are below this. */
  get slotLimit(): number {
    return this.usedSlots;
  }

  /** The slot the entity has now. It must have none. */
  add(entity: number, values: Float32Array): number {
    assert(!this.slots.has(entity), 'an entity has one vector', () => entity);
    const slot = this.freeSlots.pop() ?? this.usedSlots++;
    if (slot === this.entities.length) this.grow();
    this.slots.set(entity, slot);
    this.entities[slot] = entity;
    this.values.set(unit(values), slot * this.dimensions);
    return slot;
  }

  /** The slot the entity had, if it had one. */
  remove(entity: number): number | undefined {
    const slot = this.slots.get(entity);
    if (slot === undefined) return undefined;
    this.slots.delete(entity);
    this.entities[slot] = FREE;
    this.freeSlots.push(slot);
    return slot;
  }

  /** The entity of a slot, if one has it. */
  entityAt(slot: number): number | undefined {
    const entity = this.entities[slot]!;
    return entity === FREE ? undefined : entity;
  }

  vectorAt(slot: number): Float32Array {
    return this.values.subarray(slot * this.dimensions, (slot + 1) * this.dimensions);
  }

  isZeroAt(slot: number): boolean {
    return this.vectorAt(slot).every((value) => value === 0);
  }

  /** Cosine similarity of a slot's vector to a `unit` vector. */
  similarity(slot: number, query: Float64Array): number {
    const { values, dimensions } = this;
    let sum = 0;
    for (let i = 0, at = slot * dimensions; i < dimensions; i++, at++) sum += values[at]! * query[i]!;
    // Rounding to 32 bits may leave a length a little above 1.
    return Math.min(1, Math.max(-1, sum));
  }

  private grow(): void {
    const capacity = this.entities.length * 2;
    const entities = new Float64Array(capacity).fill(FREE);
    entities.set(this.entities);
    this.entities = entities;
    const values = new Float32Array(capacity * this.dimensions);
    values.set(this.values);
    this.values = values;
  }
}

/** The vector of length 1 in the same direction; one of length 0 stays what it is. */
export function unit(values: Float32Array): Float64Array {
  let squares = 0;
  for (const value of values) squares += value * value;
  const length = Math.sqrt(squares);
  const result = new Float64Array(values.length);
  if (length > 0) for (const [i, value] of values.entries()) result[i] = value / length;
  return result;
}
