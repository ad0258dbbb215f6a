/**
 * A made-up service's items and signals, from a seed: a title of 5 words and a description of 12 out of a Zipf vocabulary, a
 * category, an author, a year, two tags; signals Zipf over the items, of the six default kinds, in the proportions people give
 * them.
 */
import type { Event, Metadata } from '../../../shared/protocol/events.ts';
import { HLC_PER_MS, WEIGHT_SCALE } from '../../../shared/protocol/events.ts';
import { SEED } from './world.ts';

const WORDS = 30_000;
const TITLE_WORDS = 5;
const DESCRIPTION_WORDS = 12;
const TAGS = 2_000;
/** Items an author has, on average. */
const ITEMS_OF_AUTHOR = 20;
export const CATEGORIES = [
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

/** 0 … n − 1, the r-th with a probability in proportion to (r + 1)^−exponent, nearly. */
export function zipf(fraction: Fraction, n: number, exponent = 1): number {
  const rest = 1 - exponent;
  const rank = rest === 0 ? (n + 1) ** fraction() : (1 + fraction() * ((n + 1) ** rest - 1)) ** (1 / rest);
  return Math.min(n - 1, Math.floor(rank) - 1);
}

export interface TrafficOptions {
  readonly seed: number;
  readonly items: number;
  /** Of the distribution of signals over items: the smaller, the more items have any. Default 1. */
  readonly exponent?: number;
}

/** The most frequent words of the texts of a world from this seed, the most frequent first. */
export function commonWords(count: number, seed = SEED): readonly string[] {
  return new Traffic({ seed, items: 1 }).words.slice(0, count);
}

export class Traffic {
  private readonly fraction: Fraction;
  private readonly items: number;
  private readonly exponent: number;
  readonly words: readonly string[];
  private readonly kinds: readonly string[];

  constructor({ seed, items, exponent = 1 }: TrafficOptions) {
    this.fraction = fractions(seed);
    this.items = items;
    this.exponent = exponent;
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
    const tag = (): string => `tag-${zipf(this.fraction, TAGS)}`;
    return {
      title: this.text(TITLE_WORDS),
      description: this.text(DESCRIPTION_WORDS),
      category: CATEGORIES[zipf(this.fraction, CATEGORIES.length)]!,
      author: `author-${zipf(this.fraction, Math.ceil(this.items / ITEMS_OF_AUTHOR), 0.8)}`,
      year: 1950 + this.below(76),
      tags: [...new Set([tag(), tag()])],
    };
  }

  private text(words: number): string {
    return Array.from({ length: words }, () => this.words[zipf(this.fraction, WORDS)]!).join(' ');
  }

  item(entity: number, acceptedMs: number, counter: number): Event {
    return { kind: 'item', hlc: acceptedMs * HLC_PER_MS + counter, entity, metadata: this.metadata() };
  }

  /** Of an item drawn by its popularity, which its id says nothing about. Items are 1 … `items`, or fewer, `upTo`. */
  signal(acceptedMs: number, counter: number, upTo = this.items): Event {
    const entity = this.anyPopular(upTo);
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

  anyPopular(upTo = this.items): number {
    for (;;) {
      // 7,368,787 is a prime: another order of the items.
      const entity = 1 + ((zipf(this.fraction, this.items, this.exponent) * 7_368_787) % this.items);
      if (entity <= upTo) return entity;
    }
  }
}
