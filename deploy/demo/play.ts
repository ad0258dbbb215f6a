/** Signals as an audience would send them: films drawn by their votes, reactions by their rating, over the last two days. */
import type { Film } from './films.ts';

export interface PlayedSignal {
  readonly entity_id: number;
  readonly signal: string;
  readonly weight: number;
  /** RFC 3339. */
  readonly timestamp: string;
}

export interface PlayOptions {
  readonly films: readonly Film[];
  readonly count: number;
  readonly seed: number;
  readonly nowMs: number;
}

const spanMs = 48 * 3_600_000;

/** Deterministic in its options: the same seed plays the same signals. */
export function* playSignals({ films, count, seed, nowMs }: PlayOptions): Generator<PlayedSignal> {
  const next = generator(seed);
  const totals: number[] = [];
  let total = 0;
  for (const { votes } of films) {
    total += votes;
    totals.push(total);
  }
  for (let i = 0; i < count && films.length > 0; i++) {
    const film = films[indexOf(totals, next() * total)]!;
    const signal = reaction(next(), film.appeal);
    // Denser towards now, so that the windows of an hour and of a day differ.
    const ageMs = Math.round(spanMs * next() ** 2);
    yield {
      entity_id: film.entityId,
      signal,
      weight: signal === 'completion' ? Math.round(1_000 * (0.5 + next() / 2)) / 1_000 : 1,
      timestamp: new Date(nowMs - ageMs).toISOString(),
    };
  }
}

/** Of 100 signals 60 are views; of the rest the better film gets more likes, shares and completions, the worse more skips. */
function reaction(chance: number, appeal: number): string {
  if (chance < 0.6) return 'view';
  const rest = (chance - 0.6) / 0.4;
  if (rest < appeal * 0.35) return 'like';
  if (rest < appeal * 0.5) return 'share';
  if (rest < appeal) return 'completion';
  return rest < appeal + (1 - appeal) * 0.8 ? 'skip' : 'hide';
}

/** The first index whose running total exceeds `value`. */
function indexOf(totals: readonly number[], value: number): number {
  let low = 0;
  let high = totals.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (totals[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Mulberry32, a public-domain generator of 32 bits of state: numbers from 0 to below 1. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
