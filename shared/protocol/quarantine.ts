/**
 * The quarantine: events that no region can apply, set aside by an operator (`POST /cluster/quarantine`) in every region.
 *
 * A quarantined event stays in the log, byte for byte, so sequences and chains match. In the state a quarantined signal does not
 * count, and a quarantined item or embedding counts as deleted at its point in the order. So state is a function of the position
 * and of this set. Only what no region has applied may enter it, and nothing ever leaves it.
 */
import { Refusal } from '../errors/errors.ts';

export interface QuarantinedRange {
  readonly origin: string;
  /** Sequences, both included. */
  readonly first: number;
  readonly last: number;
}

/** Limit of ranges in a quarantine: each is a failure that an operator has examined. */
export const QUARANTINE_LIMIT = 100;
/** Limit of events of one command: a completely unreadable batch has no more. */
export const QUARANTINE_RANGE_LIMIT = 5_000;

export class Quarantine {
  /** In the order of origins and sequences; adjacent ranges are merged. */
  readonly ranges: readonly QuarantinedRange[];
  /** The same set has the same text: `origin:first-last[,…]`. */
  readonly text: string;

  constructor(ranges: readonly QuarantinedRange[] = []) {
    this.ranges = joined(ranges);
    this.text = this.ranges.map(({ origin, first, last }) => `${origin}:${first}-${last}`).join(',');
  }

  has(origin: string, sequence: number): boolean {
    return this.touches(origin, sequence, sequence);
  }

  /** Whether any of these events is in it. */
  touches(origin: string, first: number, last: number): boolean {
    return this.ranges.some((range) => range.origin === origin && range.first <= last && range.last >= first);
  }

  covers({ origin, first, last }: QuarantinedRange): boolean {
    return this.ranges.some((range) => range.origin === origin && range.first <= first && range.last >= last);
  }

  with(...ranges: readonly QuarantinedRange[]): Quarantine {
    return new Quarantine([...this.ranges, ...ranges]);
  }

  /** The set as a region stores it. */
  toJSON(): readonly QuarantinedRange[] {
    return this.ranges;
  }
}

export const NO_QUARANTINE = new Quarantine();

/** Reads the value of {@link Quarantine.toJSON}; the empty set if nothing was stored. */
export function quarantineOf(stored: unknown): Quarantine {
  return stored === undefined ? NO_QUARANTINE : new Quarantine(stored as readonly QuarantinedRange[]);
}

function joined(ranges: readonly QuarantinedRange[]): QuarantinedRange[] {
  const sorted = [...ranges].sort((a, b) => (a.origin === b.origin ? a.first - b.first : a.origin < b.origin ? -1 : 1));
  const apart: QuarantinedRange[] = [];
  for (const range of sorted) {
    const before = apart.at(-1);
    if (before?.origin === range.origin && range.first <= before.last + 1) {
      apart[apart.length - 1] = { ...before, last: Math.max(before.last, range.last) };
    } else apart.push(range);
  }
  return apart;
}

const originShape = /^[a-z0-9-]{1,32}@[a-z2-7]{10,32}$/;

/** The range of a request `{origin, first, last}`. Throws a `Refusal`. */
export function rangeOf(body: unknown): QuarantinedRange {
  const { origin, first, last = first } = (body ?? {}) as { readonly [K in keyof QuarantinedRange]?: unknown };
  const invalid = (path: string, message: string): Refusal =>
    new Refusal('invalid_request', `${path} ${message}`, { errors: [{ path, message }] });
  if (typeof origin !== 'string' || !originShape.test(origin)) throw invalid('origin', 'must be the name of an origin');
  if (!isSequence(first)) throw invalid('sequence', 'must be an integer from 1 to 9007199254740991');
  if (!isSequence(last) || last < first) throw invalid('last', 'must be an integer that is not before sequence');
  if (last - first >= QUARANTINE_RANGE_LIMIT) {
    throw invalid('last', `must be less than ${QUARANTINE_RANGE_LIMIT} after sequence`);
  }
  return { origin, first, last };
}

function isSequence(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}
