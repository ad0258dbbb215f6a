/**
 * Strings with small numbers, looked up by a slice of a longer text without creating a string.
 *
 * A string's key is 64 bits. Up to ten common characters are packed into it, six bits each: then the key is the string. For
 * others it is a hash, and letters are compared. Open addressing; a string without a free slot near its home (many crafted
 * strings with one hash) is kept in a map instead: a lookup costs a bounded number of steps whatever the strings are. Numbers are
 * reused.
 */
import { assert } from '../../../../../shared/kernel/kernel.ts';

const FIRST_PLACES = 2_048;
/** Strings that move to the grown table with each new one, so that growing never takes long. */
const MOVED_AT_ONCE = 8;
const PROBE_LIMIT = 24;
/** Characters in each half of a packed key. */
const PACKED = 5;
/** In the high half of a key that is a hash; no packed key has it. */
const HASHED = 0x8000_0000 | 0;
const USUAL = 'abcdefghijklmnopqrstuvwxyz0123456789_\'.,/&+:;!?()*=%$#@"<>[]{}\\';

/** By ASCII unit, capitals as their small letters: 1 … 63; 0: not common. */
const codes = Uint8Array.from({ length: 128 }, (_, unit) => USUAL.indexOf(String.fromCharCode(unit).toLowerCase()) + 1);

/** Builds the key of a string, unit by unit. */
export class Key {
  low = 0;
  high = 0;
  private length = 0;
  private isHash = false;

  begin(): void {
    this.low = 0;
    this.high = 0;
    this.length = 0;
    this.isHash = false;
  }

  /** The string's next UTF-16 unit, ASCII letters in either case. */
  add(unit: number): void {
    const code = unit < 128 ? codes[unit]! : 0;
    if (code > 0 && !this.isHash && this.length < 2 * PACKED) {
      if (this.length++ < PACKED) this.low = (this.low << 6) | code;
      else this.high = (this.high << 6) | code;
      return;
    }
    this.isHash = true;
    // FNV-1a, and a second one beside it.
    this.low = Math.imul(this.low ^ lower(unit), 0x01000193);
    this.high = Math.imul(this.high ^ lower(unit), 0x85ebca6b) | HASHED;
  }
}

function lower(unit: number): number {
  return unit >= 65 && unit <= 90 ? unit + 32 : unit;
}

const STRIDE_BITS = 2;
/** Numbers a slot. */
const STRIDE = 1 << STRIDE_BITS;

/** A table as plain data, for the transfer between threads. */
export interface StringTableImage {
  /** Concatenated: the transfer of a million separate strings would take long. */
  readonly joined: string;
  readonly lengths: Uint32Array;
  readonly slots: Int32Array<ArrayBuffer>;
  readonly aside: Map<string, number>;
  readonly freeIds: number[];
  readonly count: number;
}

export class StringTable {
  /** By number; '' if there is none. */
  readonly texts: string[] = [];
  /** Slots of low half, high half, number + 1 (0: empty), and an unused word. A power of two of them, at most half full. */
  private slots = new Int32Array(FIRST_PLACES * STRIDE);
  /** While the table grows: the former slots, which still have the numbers from `moved` up to `formerLimit`. */
  private former: Int32Array | undefined;
  private formerLimit = 0;
  private moved = 0;
  private readonly aside = new Map<string, number>();
  private readonly freeIds: number[] = [];
  private readonly key = new Key();
  private count = 0;

  image(): StringTableImage {
    while (this.former !== undefined) this.moveSome(this.former);
    const { texts, slots, aside, freeIds, count } = this;
    const lengths = Uint32Array.from(texts, ({ length }) => length);
    return { joined: texts.join(''), lengths, slots: slots, aside, freeIds, count };
  }

  adopt({ joined, lengths, ...image }: StringTableImage): void {
    Object.assign(this, image);
    let at = 0;
    for (const length of lengths) {
      this.texts.push(joined.slice(at, at + length));
      at += length;
    }
  }

  get size(): number {
    return this.count;
  }

  /** Numbers are below this. */
  get limit(): number {
    return this.texts.length;
  }

  get sizeBytes(): number {
    // A string: a pointer to it, its header of 16 bytes, its characters.
    const strings = this.texts.reduce((sum, text) => sum + 24 + text.length, 0);
    return strings + this.slots.byteLength + (this.former?.byteLength ?? 0);
  }

  /** −1: none. */
  find(text: string): number {
    const { low, high } = this.keyOf(text);
    return this.findSlice(text, 0, text.length, low, high);
  }

  /** The string `text.slice(start, end)`, its ASCII letters in lower case, with that string's key. −1: none. */
  findSlice(text: string, start: number, end: number, low: number, high: number): number {
    let id = this.findIn(this.slots, text, start, end, low, high);
    if (id < 0 && this.former !== undefined) id = this.findIn(this.former, text, start, end, low, high);
    if (id >= 0 || this.aside.size === 0) return id;
    return this.aside.get(asciiLower(text.slice(start, end))) ?? -1;
  }

  private findIn(slots: Int32Array, text: string, start: number, end: number, low: number, high: number): number {
    const mask = slots.length - STRIDE;
    let place = spread(low, high) & mask;
    for (let probe = 0; probe < PROBE_LIMIT; probe++, place = (place + STRIDE) & mask) {
      const id = slots[place + 2]! - 1;
      if (id < 0) break;
      if (slots[place] !== low || slots[place + 1] !== high) continue;
      if (high >= 0 || equals(this.texts[id]!, text, start, end)) return id;
    }
    return -1;
  }

  /** The key of the string with this number. */
  keyOfId(id: number): { readonly low: number; readonly high: number } {
    return this.keyOf(this.texts[id]!);
  }

  /** The string with this key; of several with the same hash, any. −1: none. */
  findKey(low: number, high: number): number {
    const { slots } = this;
    const mask = slots.length - STRIDE;
    let place = spread(low, high) & mask;
    for (let probe = 0; probe < PROBE_LIMIT; probe++, place = (place + STRIDE) & mask) {
      const id = slots[place + 2]! - 1;
      if (id < 0) break;
      if (slots[place] === low && slots[place + 1] === high) return id;
    }
    for (const id of this.aside.values()) {
      const key = this.keyOfId(id);
      if (key.low === low && key.high === high) return id;
    }
    return -1;
  }

  /** The string must be new. */
  add(text: string): number {
    if (this.former !== undefined) this.moveSome(this.former);
    else if ((this.count + 1) * 2 * STRIDE > this.slots.length) this.grow();
    this.count++;
    const id = this.freeIds.pop() ?? this.texts.length;
    this.texts[id] = own(text);
    const { low, high } = this.keyOf(text);
    this.place(id, low, high);
    return id;
  }

  remove(id: number): void {
    const text = this.texts[id]!;
    this.count--;
    this.texts[id] = '';
    this.freeIds.push(id);
    if (this.aside.delete(text)) return;
    const { low, high } = this.keyOf(text);
    // A number that was used again while the table grows is in the grown one.
    const wasThere = (this.former !== undefined && take(this.former, id, low, high)) || take(this.slots, id, low, high);
    assert(wasThere, 'a string to remove is there', () => text);
  }

  private keyOf(text: string): Key {
    this.key.begin();
    for (let i = 0; i < text.length; i++) this.key.add(text.charCodeAt(i));
    return this.key;
  }

  private place(id: number, low: number, high: number): void {
    const { slots } = this;
    const mask = slots.length - STRIDE;
    let place = spread(low, high) & mask;
    for (let probe = 0; probe < PROBE_LIMIT; probe++, place = (place + STRIDE) & mask) {
      if (slots[place + 2] !== 0) continue;
      slots[place] = low;
      slots[place + 1] = high;
      slots[place + 2] = id + 1;
      return;
    }
    this.aside.set(this.texts[id]!, id);
  }

  private grow(): void {
    this.former = this.slots;
    this.formerLimit = this.texts.length;
    this.moved = 0;
    this.slots = new Int32Array(this.former.length * 2);
  }

  /** All are moved long before the table has to grow again. */
  private moveSome(former: Int32Array): void {
    const end = Math.min(this.formerLimit, this.moved + MOVED_AT_ONCE);
    for (; this.moved < end; this.moved++) {
      const { low, high } = this.keyOf(this.texts[this.moved]!);
      if (take(former, this.moved, low, high)) this.place(this.moved, low, high);
    }
    if (this.moved === this.formerLimit) this.former = undefined;
  }
}

/** Takes the number out of the slots; false if it is not there. Entries displaced past it move back: no search ends too early. */
function take(slots: Int32Array, id: number, low: number, high: number): boolean {
  const mask = slots.length - STRIDE;
  let hole = spread(low, high) & mask;
  for (let probe = 0; slots[hole + 2] !== id + 1; probe++, hole = (hole + STRIDE) & mask) {
    if (probe === PROBE_LIMIT || slots[hole + 2] === 0) return false;
  }
  for (let at = (hole + STRIDE) & mask; slots[at + 2] !== 0; at = (at + STRIDE) & mask) {
    const home = spread(slots[at]!, slots[at + 1]!) & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    slots.copyWithin(hole, at, at + STRIDE);
    hole = at;
  }
  slots[hole + 2] = 0;
  return true;
}

/** Whether `known` is `text.slice(start, end)`, its ASCII letters in lower case. */
function equals(known: string, text: string, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let i = 0; i < known.length; i++) {
    if (lower(text.charCodeAt(start + i)) !== known.charCodeAt(i)) return false;
  }
  return true;
}

/** The first slot of a key, in slots × STRIDE once masked. */
function spread(low: number, high: number): number {
  const mixed = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b);
  return (mixed ^ (mixed >>> 15)) << STRIDE_BITS;
}

/** For tests: strings with the same home slot collide. */
export function homeOf(text: string): number {
  const key = new Key();
  for (let i = 0; i < text.length; i++) key.add(text.charCodeAt(i));
  return spread(key.low, key.high);
}

function asciiLower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** A copy: a slice would keep the whole text in memory. */
function own(text: string): string {
  const units: number[] = [];
  for (let i = 0; i < text.length; i++) units.push(text.charCodeAt(i));
  return String.fromCharCode(...units);
}
