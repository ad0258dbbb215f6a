/**
 * The texts of one field, with their sets of items. A slot has a hash and a set of members. The text itself is read from its
 * member while there is only one, and stored from the second on: titles and ids cost no copy, and a shared text is not read again
 * with every put. The texts of a long list are stored from the first on: reading each from the list would take quadratic time.
 * Open addressing over 256 parts that grow separately, so that moving a million texts never pauses the process; 11 to 21 bytes a
 * text, plus the shared ones.
 *
 * Invariant: `hasText` is true for each member of each set and the text of the set.
 */
import { isAt, textHash } from '../../metadata/metadata.ts';
import { type MemberPool, type MemberSet, NO_MEMBERS } from './member-pool.ts';

const PART_BITS = 8;
const FIRST_PLACES = 4;

/** Lists of more texts than this are not searched for each text. */
export const LONG_LIST = 16;

interface Part {
  /** A power of two; {@link NO_MEMBERS}: empty. At most three quarters are in use. */
  sets: Int32Array;
  hashes: Int32Array;
  /** By slot, for texts whose set once had a second member, or of a long list; otherwise empty. */
  texts: (string | undefined)[];
  used: number;
}

/** A table as plain data; `sets` are those of the pool that is transferred with it. */
export interface TextTableImage {
  readonly parts: (PartImage | undefined)[];
  readonly count: number;
}

interface PartImage extends Omit<Part, 'texts'> {
  /** Stored texts, and their slots. */
  readonly kept: readonly string[];
  readonly places: Int32Array;
}

/** The pool of the sets; with a gathering the table is only added to. */
export type TextSets = Pick<MemberPool, 'lowestOf' | 'with' | 'without'>;

export class TextTable {
  private readonly pool: TextSets;
  private readonly hasText: (ordinal: number, text: string) => boolean;
  private parts: (Part | undefined)[] = [];
  private count = 0;

  constructor(pool: TextSets, hasText: (ordinal: number, text: string) => boolean, image?: TextTableImage) {
    this.pool = pool;
    this.hasText = hasText;
    if (image === undefined) return;
    this.count = image.count;
    this.parts = image.parts.map((part) => part && partOf(part));
  }

  /** Replaces each set by `become` of it. */
  image(become: (set: MemberSet) => MemberSet): TextTableImage {
    const parts = this.parts.map((part) => {
      if (part === undefined) return undefined;
      const { sets, hashes, texts, used } = part;
      const places = Int32Array.from(texts.keys()).filter((place) => texts[place] !== undefined);
      const kept = Array.from(places, (place) => texts[place]!);
      return { sets: sets.map((set) => become(set)), hashes, used, kept, places };
    });
    return { parts, count: this.count };
  }

  /** Number of texts. */
  get size(): number {
    return this.count;
  }

  /** In any order; a text that is read from its only member is undefined. Nothing may be changed in between. */
  *entries(): Generator<{ readonly text: string | undefined; readonly hash: number; readonly set: MemberSet }> {
    for (const part of this.parts) {
      if (part === undefined) continue;
      const { sets, hashes, texts } = part;
      for (let place = 0; place < sets.length; place++) {
        const set = sets[place]!;
        if (set !== NO_MEMBERS) yield { text: texts[place], hash: hashes[place]!, set };
      }
    }
  }

  get(text: string): MemberSet {
    const hash = textHash(text);
    const part = this.parts[hash >>> (32 - PART_BITS)];
    return part === undefined ? NO_MEMBERS : part.sets[this.find(part, hash, text)]!;
  }

  /** The item has the text already, by `hasText`. */
  add(text: string, ordinal: number, keep: boolean): void {
    this.addPiece(text, 0, text.length, textHash(text), ordinal, keep);
  }

  /** The same as {@link add} of `text.slice(start, end)`, whose hash is known; `keep`: it is one of a {@link LONG_LIST}. */
  addPiece(text: string, start: number, end: number, hash: number, ordinal: number, keep: boolean): void {
    const number = hash >>> (32 - PART_BITS);
    let part = this.parts[number];
    if (part === undefined) {
      part = {
        sets: new Int32Array(FIRST_PLACES).fill(NO_MEMBERS),
        hashes: new Int32Array(FIRST_PLACES),
        texts: [],
        used: 0,
      };
      this.parts[number] = part;
    }
    let place = this.find(part, hash, text, start, end);
    if (part.sets[place] === NO_MEMBERS) {
      if ((part.used + 1) * 4 > part.sets.length * 3) {
        grow(part);
        place = freePlace(part, hash);
      }
      part.used++;
      part.hashes[place] = hash;
      this.count++;
    }
    const set = this.pool.with(part.sets[place]!, ordinal);
    part.sets[place] = set;
    if ((set < 0 || keep) && part.texts[place] === undefined) {
      if (part.texts.length === 0) part.texts = new Array<undefined>(part.sets.length).fill(undefined);
      // A copy: the text may be a slice of a large one.
      part.texts[place] = Buffer.from(text.slice(start, end), 'utf16le').toString('utf16le');
    }
  }

  /** The item still has the text, by `hasText`. Idempotent as long as it has. */
  remove(text: string, ordinal: number): void {
    const hash = textHash(text);
    const part = this.parts[hash >>> (32 - PART_BITS)];
    if (part === undefined) return;
    const place = this.find(part, hash, text);
    if (part.sets[place] === NO_MEMBERS) return;
    part.sets[place] = this.pool.without(part.sets[place]!, ordinal);
    if (part.sets[place] !== NO_MEMBERS) return;
    part.used--;
    this.count--;
    closeGap(part, place);
  }

  /** The text's slot, or the empty one where it would be inserted. */
  private find({ sets, hashes, texts }: Part, hash: number, text: string, start = 0, end = text.length): number {
    const mask = sets.length - 1;
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const set = sets[place]!;
      if (set === NO_MEMBERS) return place;
      if (hashes[place] !== hash) continue;
      const known = texts[place];
      if (known === undefined) {
        if (this.hasText(this.pool.lowestOf(set), text.slice(start, end))) return place;
      } else if (known.length === end - start && isAt(known, text, start)) return place;
    }
  }
}

function partOf({ sets, hashes, used, kept, places }: PartImage): Part {
  const texts = kept.length === 0 ? [] : new Array<string | undefined>(sets.length).fill(undefined);
  for (const [index, place] of places.entries()) texts[place] = kept[index];
  return { sets, hashes, used, texts };
}

function freePlace({ sets }: Part, hash: number): number {
  const mask = sets.length - 1;
  let place = hash & mask;
  while (sets[place] !== NO_MEMBERS) place = (place + 1) & mask;
  return place;
}

function grow(part: Part): void {
  const { sets, hashes, texts } = part;
  part.texts = texts.length === 0 ? [] : new Array<undefined>(sets.length * 2).fill(undefined);
  part.sets = new Int32Array(sets.length * 2).fill(NO_MEMBERS);
  part.hashes = new Int32Array(sets.length * 2);
  for (const [from, set] of sets.entries()) {
    if (set === NO_MEMBERS) continue;
    const place = freePlace(part, hashes[from]!);
    part.sets[place] = set;
    part.hashes[place] = hashes[from]!;
    if (texts.length > 0) part.texts[place] = texts[from];
  }
}

/** Moves entries that were displaced beyond the slot that is empty now (Knuth 6.4, algorithm R). */
function closeGap({ sets, hashes, texts }: Part, empty: number): void {
  const mask = sets.length - 1;
  let gap = empty;
  for (let place = (gap + 1) & mask; sets[place] !== NO_MEMBERS; place = (place + 1) & mask) {
    const home = hashes[place]! & mask;
    if (((place - home) & mask) < ((place - gap) & mask)) continue;
    sets[gap] = sets[place]!;
    hashes[gap] = hashes[place]!;
    if (texts.length > 0) texts[gap] = texts[place];
    sets[place] = NO_MEMBERS;
    gap = place;
  }
  if (texts.length > 0) texts[gap] = undefined;
}
