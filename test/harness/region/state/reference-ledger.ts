/**
 * The ledger as its rules are written, with nothing clever: it keeps every event and computes each answer from all of
 * them with bigints and the closed form of decay. What `services/region/state/ledger` is compared with.
 */

import { type Window, windowSeconds } from '../../../../services/region/schema/schema.ts';
import { BUCKET_HALF_LIVES, DECAY_BUCKETS, Decay } from '../../../../services/region/state/ledger/decay/decay.ts';

export interface LedgerEvent {
  readonly entity: number;
  readonly signal: string;
  /** Thousandths. */
  readonly weight: number;
  readonly timeMs: number;
}

const MINUTE_MS = 60_000;

const HOUR_MS = 60 * MINUTE_MS;

/** By the minute up to an hour, and 66 minutes are kept; else by the hour, and two hours more than the longest window are kept. */
const minutes = { bucketMs: MINUTE_MS, kept: 66 };
const hours = { bucketMs: HOUR_MS, kept: Math.max(...Object.values(windowSeconds)) / 3_600 + 2 };

function ringOf(window: Exclude<Window, 'all'>): { bucketMs: number; kept: number; read: number } {
  const ring = windowSeconds[window] <= 3_600 ? minutes : hours;
  return { ...ring, read: (windowSeconds[window] * 1_000) / ring.bucketMs };
}

export class ReferenceLedger {
  private readonly events: LedgerEvent[] = [];
  /** Events of which only the time is known. */
  private readonly noted: LedgerEvent[] = [];

  add(event: LedgerEvent): void {
    this.events.push(event);
  }

  note(event: LedgerEvent): void {
    this.noted.push(event);
  }

  /** Exact sum in thousandths. */
  thousandths(entity: number, signal: string, window: Window, atMs: number): bigint {
    return this.sum(this.of(entity, signal), entity, signal, window, atMs);
  }

  /** The same of the past: without the events that do not count at that time. */
  pastThousandths(entity: number, signal: string, window: Window, atMs: number): bigint {
    const later = this.laterThan(entity, signal, atMs);
    const own = this.of(entity, signal).filter((event) => !later(event));
    return this.sum(own, entity, signal, window, atMs);
  }

  private sum(own: readonly LedgerEvent[], entity: number, signal: string, window: Window, atMs: number): bigint {
    if (window === 'all') return own.reduce((sum, event) => sum + BigInt(event.weight), 0n);
    const { bucketMs, kept, read } = ringOf(window);
    const bucket = (timeMs: number): number => Math.floor(timeMs / bucketMs);
    const newest = bucket(this.times(entity, signal).lastMs);
    return own
      .filter((event) => bucket(event.timeMs) > newest - kept)
      .filter((event) => bucket(event.timeMs) > bucket(atMs) - read && bucket(event.timeMs) <= bucket(atMs))
      .reduce((sum, event) => sum + BigInt(event.weight), 0n);
  }

  /** Which events do not count at a read time: those of a later minute, of a later hour where the minutes are not kept. */
  private laterThan(entity: number, signal: string, atMs: number): (event: LedgerEvent) => boolean {
    const { firstMs, lastMs } = this.times(entity, signal);
    if (atMs >= lastMs) return () => false;
    if (atMs < firstMs) return () => true;
    const isKept = Math.floor(lastMs / MINUTE_MS) - Math.floor(atMs / MINUTE_MS) < minutes.kept;
    const { bucketMs, kept } = isKept ? minutes : hours;
    const bucket = (timeMs: number): number => Math.floor(timeMs / bucketMs);
    // Events that have left the ring cannot be distinguished from earlier ones.
    return ({ timeMs }) => bucket(timeMs) > bucket(atMs) && bucket(timeMs) > bucket(lastMs) - kept;
  }

  /** Whether the window is known at a read time, as docs/ranking.md says. */
  knows(entity: number, signal: string, window: Window, atMs: number): boolean {
    const { firstMs, lastMs } = this.times(entity, signal);
    if (atMs >= lastMs || atMs < firstMs) return true;
    if (window === 'all') {
      const { bucketMs, kept } = hours;
      return Math.floor((atMs + 1) / bucketMs) > Math.floor(lastMs / bucketMs) - kept;
    }
    const { bucketMs, kept, read } = ringOf(window);
    // The first bucket whose whole window the ring still holds.
    return Math.floor(atMs / bucketMs) >= Math.floor(lastMs / bucketMs) - kept + read;
  }

  /** The closed form over the events of the kept decay buckets, and separately over dropped ones. */
  decayed(entity: number, signal: string, halfLifeSeconds: number, atMs: number): { kept: number; dropped: number } {
    const own = this.of(entity, signal);
    const halfLifeMs = halfLifeSeconds * 1000;
    const cell = (timeMs: number): number => Math.floor(timeMs / (BUCKET_HALF_LIVES * halfLifeMs));
    const newest = cell(this.times(entity, signal).lastMs);
    let kept = 0;
    let dropped = 0;
    for (const { weight, timeMs } of own) {
      const score = (weight / 1000) * 2 ** ((timeMs - atMs) / halfLifeMs);
      if (cell(timeMs) > newest - DECAY_BUCKETS) kept += score;
      else dropped += score;
    }
    return { kept, dropped };
  }

  count(entity: number, signal: string): number {
    return this.of(entity, signal).length;
  }

  times(entity: number, signal: string): { firstMs: number; lastMs: number } {
    const times = [...this.events, ...this.noted]
      .filter((event) => event.entity === entity && event.signal === signal)
      .map((event) => event.timeMs);
    return { firstMs: Math.min(...times), lastMs: Math.max(...times) };
  }

  /** What `Ledger.describe` must say of the pair after its name. The last bits of a large weight need the ledger's own 2^x. */
  describe(
    entity: number,
    signal: string,
    halfLifeSeconds: number,
    decay: Pick<Decay, 'bucketOf' | 'contribution'> = new Decay(halfLifeSeconds),
  ): (number | bigint)[] {
    const own = this.of(entity, signal);
    const { firstMs, lastMs } = this.times(entity, signal);
    const cells = new Array<bigint>(DECAY_BUCKETS).fill(0n);
    for (const { weight, timeMs } of own) {
      const cell = decay.bucketOf(timeMs);
      const age = decay.bucketOf(lastMs) - cell;
      if (age < DECAY_BUCKETS) cells[age]! += BigInt(decay.contribution(weight, timeMs, cell));
    }
    const parts: (number | bigint)[] = [own.length, this.thousandths(entity, signal, 'all', lastMs), firstMs, lastMs];
    parts.push(...cells);
    for (const { bucketMs, kept } of [minutes, hours]) {
      const buckets = new Map<number, bigint>();
      for (const { weight, timeMs } of own) {
        const bucket = Math.floor(timeMs / bucketMs);
        if (weight === 0 || bucket <= Math.floor(lastMs / bucketMs) - kept) continue;
        buckets.set(bucket, (buckets.get(bucket) ?? 0n) + BigInt(weight));
      }
      parts.push(buckets.size, ...[...buckets].sort(([a], [b]) => a - b).flat());
    }
    return parts.map((part) => (part <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(part) : part));
  }

  private of(entity: number, signal: string): LedgerEvent[] {
    return this.events.filter((event) => event.entity === entity && event.signal === signal);
  }
}
