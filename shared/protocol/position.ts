/**
 * A position: origin → highest contiguous sequence. It describes progress everywhere: what is durable, what is applied, what a
 * client has seen. Written `origin:sequence[,origin:sequence…]`, origins in ascending order.
 */

import { clip, Fault } from '../errors/errors.ts';

export type Position = ReadonlyMap<string, number>;

/** The name of an origin: `<region>@<10 or more base32 characters>`. */
export const originPattern = /^[a-z0-9-]{1,32}@[a-z2-7]{10,32}$/;

/** The region that opened an origin. */
export function regionOf(origin: string): string {
  return origin.slice(0, origin.indexOf('@'));
}

export function sequenceOf(position: Position, origin: string): number {
  return position.get(origin) ?? 0;
}

/**
 * A position that changes often, and whose text and total are read after each change: a change costs only its own origin, the
 * text in addition one join, whatever the number of origins.
 */
export class GrowingPosition extends Map<string, number> {
  /** {@link totalOf} it. */
  total = 0;
  /** By origin: its index in {@link parts}; empty while an origin is missing there. */
  private readonly places = new Map<string, number>();
  private parts: string[] = [];
  private written: string | undefined = '';

  constructor(position: Position = new Map()) {
    super();
    for (const [origin, sequence] of position) this.set(origin, sequence);
  }

  override set(origin: string, sequence: number): this {
    this.total += sequence - (this.get(origin) ?? 0);
    super.set(origin, sequence);
    this.written = undefined;
    const place = this.places.get(origin);
    if (place === undefined || sequence === 0) this.places.clear();
    else this.parts[place] = `${origin}:${sequence}`;
    return this;
  }

  /** {@link formatPosition} of it. */
  get text(): string {
    if (this.written === undefined) {
      if (this.places.size === 0) this.write();
      this.written = this.parts.join(',');
    }
    return this.written;
  }

  private write(): void {
    const entries = sortedEntries(this);
    for (const [place, [origin]] of entries.entries()) this.places.set(origin, place);
    this.parts = entries.map(([origin, sequence]) => `${origin}:${sequence}`);
  }
}

/** Σ of all sequences: how many events the position covers. */
export function totalOf(position: Position): number {
  if (position instanceof GrowingPosition) return position.total;
  let total = 0;
  for (const sequence of position.values()) total += sequence;
  return total;
}

/** Whether `position` covers `wanted`; an unknown origin counts as 0. */
export function covers(position: Position, wanted: Position): boolean {
  for (const [origin, sequence] of wanted) if (sequenceOf(position, origin) < sequence) return false;
  return true;
}

/** Σ over origins of max(0, ahead − behind): the events `ahead` has and `behind` lacks. */
export function missing(ahead: Position, behind: Position): number {
  let total = 0;
  for (const [origin, sequence] of ahead) total += Math.max(0, sequence - sequenceOf(behind, origin));
  return total;
}

/** The larger sequence of each origin. */
export function merge(a: Position, b: Position): Map<string, number> {
  const merged = new Map(a);
  for (const [origin, sequence] of b) merged.set(origin, Math.max(sequence, sequenceOf(merged, origin)));
  return merged;
}

export function formatPosition(position: Position): string {
  if (position instanceof GrowingPosition) return position.text;
  return sortedEntries(position)
    .map(([origin, sequence]) => `${origin}:${sequence}`)
    .join(',');
}

function sortedEntries(position: Position): [string, number][] {
  return [...position].filter(([, sequence]) => sequence > 0).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Undefined if the text is not a position. The empty text is the position before everything. */
export function parsePosition(text: string): Map<string, number> | undefined {
  const position = new Map<string, number>();
  if (text === '') return position;
  for (const part of text.split(',')) {
    const colon = part.lastIndexOf(':');
    const origin = part.slice(0, colon);
    const digits = part.slice(colon + 1);
    if (colon < 0 || !originPattern.test(origin) || !/^\d{1,16}$/.test(digits)) return undefined;
    const sequence = Number(digits);
    if (!Number.isSafeInteger(sequence)) return undefined;
    position.set(origin, Math.max(sequence, sequenceOf(position, origin)));
  }
  return position;
}

/** The origin and sequence of one event; undefined if the text is not the position of one. */
export function parseEventPosition(text: string): { readonly origin: string; readonly sequence: number } | undefined {
  const [event, ...more] = parsePosition(text) ?? [];
  if (event === undefined || more.length > 0 || text.includes(',') || event[1] < 1) return undefined;
  return { origin: event[0], sequence: event[1] };
}

/**
 * The position a token names. Throws `Fault('no_position')`, because for a decision an unreadable token must not count as "holds
 * nothing".
 */
export function positionOf(token: string): Position {
  const position = parsePosition(token);
  if (position === undefined) throw new Fault('no_position', `${clip(token)} is not a position`);
  return position;
}
