/** The items that changed since they were indexed, in the order of the first such change; see `catalog.ts`. */
import type { Metadata } from '../../../../shared/protocol/events.ts';
import type { Entities } from '../entities/entities.ts';
import type { ItemChange, Unindexed } from './catalog.ts';
import type { MetadataArena } from './metadata-arena.ts';

export class UnindexedItems implements Unindexed {
  bytes = 0;
  private readonly arena: MetadataArena;
  private readonly entities: Entities;
  /** By ordinal: bytes of the present metadata. */
  private readonly sizes = new Map<number, number>();
  private iterator: Iterator<number> | undefined;

  constructor(arena: MetadataArena, entities: Entities) {
    this.arena = arena;
    this.entities = entities;
  }

  get size(): number {
    return this.sizes.size;
  }

  has(ordinal: number): boolean {
    return this.sizes.has(ordinal);
  }

  ordinals(): Iterable<number> {
    return this.sizes.keys();
  }

  former(ordinal: number): Metadata | undefined {
    return this.arena.decodeAside(ordinal);
  }

  /** Called before the item changes. */
  changing(ordinal: number): void {
    const { arena } = this;
    if (!this.sizes.has(ordinal)) {
      if (arena.has(ordinal)) arena.setAside(ordinal);
      this.bytes += arena.sizeAside(ordinal);
    } else this.bytes -= this.sizes.get(ordinal)!;
  }

  /** Called after it. */
  changed(ordinal: number): void {
    const size = this.arena.size(ordinal);
    this.bytes += size;
    this.sizes.set(ordinal, size);
  }

  take(): ItemChange | undefined {
    // One iteration also finds what is added later; another for each item would first skip all that were taken before.
    this.iterator ??= this.sizes.keys();
    const { value: ordinal, done } = this.iterator.next();
    if (done === true) {
      this.iterator = undefined;
      return undefined;
    }
    const { arena } = this;
    const former = arena.decodeAside(ordinal);
    this.bytes -= arena.sizeAside(ordinal) + this.sizes.get(ordinal)!;
    this.sizes.delete(ordinal);
    arena.removeAside(ordinal);
    return { entity: this.entities.entity(ordinal), former, present: arena.decode(ordinal) };
  }
}
