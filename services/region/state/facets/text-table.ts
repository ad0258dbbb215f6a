/**
 * The texts of one field, and who has them. A place holds a hash and a set of members; what the text is is read off its member
 * while there is one, and kept from the second on: titles and ids cost no copy, and a shared text is not read again with every
 * put. Open addressing over 256 parts that grow each for itself, so that a million texts never halt the process to be moved; 11
 * to 21 bytes a text, and the shared ones themselves.
 *
 * `hasText` must be true, for each member of each set here, of the text it is in for.
 */
import { type MemberPool, type MemberSet, NO_MEMBERS } from './member-pool.ts';

const PART_BITS = 8;
const FIRST_PLACES = 4;

interface Part {
  /** A power of two; {@link NO_MEMBERS}: empty. At most three quarters are in use. */
  sets: Int32Array;
  hashes: Int32Array;
  /** By place, of those whose set had a second member once; empty: of none. */
  texts: (string | undefined)[];
  used: number;
}

export class TextTable {
  private readonly pool: MemberPool;
  private readonly hasText: (ordinal: number, text: string) => boolean;
  private parts: (Part | undefined)[] = [];
  private count = 0;

  constructor(pool: MemberPool, hasText: (ordinal: number, text: string) => boolean) {
    this.pool = pool;
    this.hasText = hasText;
  }

  /** Number of texts. */
  get size(): number {
    return this.count;
  }

  get(text: string): MemberSet {
    const hash = hashOf(text);
    const part = this.parts[hash >>> (32 - PART_BITS)];
    return part === undefined ? NO_MEMBERS : part.sets[this.find(part, hash, text)]!;
  }

  /** The item has the text already, by `hasText`. */
  add(text: string, ordinal: number): void {
    const hash = hashOf(text);
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
    let place = this.find(part, hash, text);
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
    if (set < 0 && part.texts[place] === undefined) {
      if (part.texts.length === 0) part.texts = new Array<undefined>(part.sets.length).fill(undefined);
      // A copy: the text may be a slice of a large one.
      part.texts[place] = Buffer.from(text, 'utf16le').toString('utf16le');
    }
  }

  /** The item still has the text, by `hasText`. Idempotent as long as it has. */
  remove(text: string, ordinal: number): void {
    const hash = hashOf(text);
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

  /** The text's place, or the empty one where it would go. */
  private find({ sets, hashes, texts }: Part, hash: number, text: string): number {
    const mask = sets.length - 1;
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const set = sets[place]!;
      if (set === NO_MEMBERS) return place;
      if (hashes[place] !== hash) continue;
      const known = texts[place];
      if (known === undefined ? this.hasText(this.pool.lowestOf(set), text) : known === text) return place;
    }
  }
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

/** Moves up what was pushed beyond the place that is empty now (Knuth 6.4, algorithm R). */
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

/** 32 bits of a text: FNV-1a over its UTF-16 units, mixed as MurmurHash3 ends. */
function hashOf(text: string): number {
  let bits = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) bits = Math.imul(bits ^ text.charCodeAt(at), 0x01000193);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
