/**
 * A made-up service's items and signals, from a seed: titles of four to six words out of a Zipf vocabulary, a category, a year,
 * tags; signals Zipf over the items, of the six default kinds, in the proportions people give them.
 */
import type { Event, Metadata } from '../../../shared/protocol/events.ts';
import { HLC_PER_MS, WEIGHT_SCALE } from '../../../shared/protocol/events.ts';

const WORDS = 40_000;
const TAGS = 400;
const CATEGORIES = [
  'music',
  'film',
  'sport',
  'news',
  'science',
  'games',
  'food',
  'travel',
  'art',
  'history',
  'nature',
  'tech',
];
/** Of a hundred signals. */
const SHARES: readonly (readonly [signal: string, percent: number])[] = [
  ['view', 55],
  ['like', 15],
  ['completion', 12],
  ['skip', 8],
  ['share', 6],
  ['hide', 4],
];
const CONSONANTS = 'bcdfghklmnprstvz';
const VOWELS = 'aeiou';

/** From 0 up to 1, 1 excluded. */
export type Fraction = () => number;

/** mulberry32. */
export function fractions(seed: number): Fraction {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** 0 … n − 1, the r-th with a probability in proportion to 1 / (r + 1), nearly. */
export function zipf(fraction: Fraction, n: number): number {
  return Math.min(n - 1, Math.floor((n + 1) ** fraction()) - 1);
}

export class Traffic {
  private readonly fraction: Fraction;
  private readonly items: number;
  private readonly words: readonly string[];
  private readonly kinds: readonly string[];

  constructor({ seed, items }: { seed: number; items: number }) {
    this.fraction = fractions(seed);
    this.items = items;
    this.words = Array.from({ length: WORDS }, () => this.word());
    this.kinds = SHARES.flatMap(([signal, percent]) => new Array<string>(percent).fill(signal));
  }

  private below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  private word(): string {
    let word = '';
    for (let syllables = 2 + this.below(3); syllables > 0; syllables--) {
      word += CONSONANTS[this.below(CONSONANTS.length)]! + VOWELS[this.below(VOWELS.length)]!;
    }
    return word;
  }

  metadata(): Metadata {
    const title = Array.from({ length: 4 + this.below(3) }, () => this.words[zipf(this.fraction, WORDS)]!).join(' ');
    const tags = new Set(Array.from({ length: 2 + this.below(3) }, () => `tag-${zipf(this.fraction, TAGS)}`));
    return {
      title,
      category: CATEGORIES[zipf(this.fraction, CATEGORIES.length)]!,
      year: 1950 + this.below(76),
      tags: [...tags],
    };
  }

  item(entity: number, acceptedMs: number, counter: number): Event {
    return { kind: 'item', hlc: acceptedMs * HLC_PER_MS + counter, entity, metadata: this.metadata() };
  }

  /** Of an item drawn by its popularity, which its id says nothing about. Items are 1 … `items`. */
  signal(acceptedMs: number, counter: number): Event {
    const entity = this.anyPopular();
    const signal = this.kinds[this.below(100)]!;
    return {
      kind: 'signal',
      hlc: acceptedMs * HLC_PER_MS + counter,
      entity,
      signal,
      weight: WEIGHT_SCALE,
      timeMs: acceptedMs,
    };
  }

  anyPopular(): number {
    // 7,368,787 is a prime: another order of the items.
    return 1 + ((zipf(this.fraction, this.items) * 7_368_787) % this.items);
  }
}
