/**
 * The state digest: the sum of a hash of every entry of the state, so that two regions compare their state in 16 bytes, however
 * they have it in memory (docs/architecture.md, section 5; ADR 18).
 *
 * An entry is the registers of one entity, or one pair. The digest reads what is stored, not what was applied: if a stored value is
 * wrong, so is the digest. Entries are numbered, so that counting can pause after any of them.
 */

/** Receives the values of entries, one entry after another. */
export interface ValueSink {
  /** A value of this entity; it ends with {@link end}. An entry has one value or more, or none where nothing is stored. */
  begin(entity: number): void;
  /** An integer of any size, or any other number. One number has one form: a bigint is beyond 2^53. */
  number(part: number | bigint): void;
  text(part: string): void;
  bytes(part: Uint8Array): void;
  end(): void;
}

/** A part of the state: the registers, or the pairs of one signal. */
export interface DigestedPart {
  /** Undefined: the registers. */
  readonly signal?: string;
  /** Numbers of entries are 0 … `entries` − 1. An entry keeps its number; a new one gets the next. */
  readonly entries: number;
  /** The number of the entity's entry; −1 without one. */
  find(entity: number): number;
  /** Feeds everything that is stored of the entry, which is the same in every region at one position. */
  describe(entry: number, sink: ValueSink): void;
}

export interface Digested {
  readonly digested: readonly DigestedPart[];
}
