/**
 * Compares acknowledgements with the disks (invariants 1, 7 and 8): acknowledged writes exist, once if they may count once;
 * refused ones do not; the outcome of others is unknown, but they exist at most once.
 */
import { inspect, isDeepStrictEqual } from 'node:util';
import { acceptedMs, type Event, type WriteBody } from '../../shared/protocol/events.ts';
import { type Position, parsePosition, sequenceOf } from '../../shared/protocol/position.ts';
import { type Chronicle, type Placed, tagOf } from './chronicle.ts';
import { Violation } from './violation.ts';

const DAY_MS = 86_400_000;

export type Outcome = 'open' | 'refused' | 'acknowledged' | 'unknown';

/** One request of a client; all attempts together where it has a key. */
export interface Write {
  readonly id: number;
  readonly key: string | undefined;
  /** Of its events, in order, and what the client meant by each. */
  readonly tags: readonly string[];
  readonly bodies: readonly WriteBody[];
  outcome: Outcome;
  /** Its position token, of any attempt that was acknowledged. */
  positions: string[];
}

export class Promises {
  readonly writes: Write[] = [];
  private readonly chronicle: Chronicle;
  /** Sequences from here on were lost at some time: on no disk, and not in the stream. */
  private readonly lostFrom = new Map<string, number>();
  private readonly byTag = new Map<string, Write[]>();

  constructor(chronicle: Chronicle) {
    this.chronicle = chronicle;
  }

  add(write: Write): void {
    this.writes.push(write);
    for (const tag of write.tags) this.byTag.set(tag, [...(this.byTag.get(tag) ?? []), write]);
  }

  /** An answer 200 has arrived at the client. */
  acknowledged(write: Write, token: string): Position {
    const position = parsePosition(token);
    if (position === undefined || position.size === 0) {
      throw new Violation('answers are valid', `write ${write.id} was acknowledged at "${token}"`);
    }
    this.chronicle.requireFlushed(position, 'flushed before it is acknowledged', `the answer to write ${write.id}`);
    const last = write.tags.at(-1);
    const named = [...position].some(([origin, sequence]) => {
      const event = this.chronicle.event(origin, sequence);
      return event !== undefined && tagOf(event) === last;
    });
    if (!named)
      throw new Violation(
        'answers are valid',
        `write ${write.id} (${last}) was acknowledged at ${token}, which is another`,
      );
    write.outcome = 'acknowledged';
    write.positions.push(token);
    return position;
  }

  /** A disk or the stream has lost something: `left` is what all of them still have together. */
  lost(left: Position): void {
    for (const { name, events } of this.chronicle.origins.values()) {
      const last = sequenceOf(left, name);
      if (last < events.length) {
        this.lostFrom.set(name, Math.min(last + 1, this.lostFrom.get(name) ?? Number.POSITIVE_INFINITY));
      }
    }
  }

  mayBeLost(origin: string, sequence: number): boolean {
    return sequence >= (this.lostFrom.get(origin) ?? Number.POSITIVE_INFINITY);
  }

  /** The time its client gave a signal. */
  timeMeant(event: Event): number | undefined {
    const tag = tagOf(event);
    const write = this.byTag.get(tag)?.[0];
    const meant = write?.bodies[write.tags.indexOf(tag)];
    return event.kind === 'signal' && meant?.kind === 'signal' ? meant.timeMs : undefined;
  }

  /**
   * An event reached a disk for the first time: a client must have sent it, and it must not exist yet. `former`: the last put or
   * delete of its entity in the same origin.
   */
  checkEvent(event: Event, former: Event | undefined): void {
    const tag = tagOf(event);
    const asked = this.byTag.get(tag);
    if (asked === undefined) throw new Violation('every event was written by a client', `no client wrote ${tag}`);
    const [{ tags, bodies }] = asked as [Write];
    const meant = bodies[tags.indexOf(tag)]!;
    if (meant.kind === 'patch') this.checkPatched(event, meant, former);
    else if (!isDeepStrictEqual(contentOf(event), { ...withoutTime(meant), ...timeOf(meant, event) })) {
      throw new Violation('an event is what its client wrote', `${inspect(event)} is in the log for ${inspect(meant)}`);
    }
    const here = this.chronicle.byTag.get(tag)?.length ?? 0;
    const unkeyed = asked.filter(({ key }) => key === undefined);
    if (event.key !== undefined) return;
    if (here > unkeyed.length) {
      throw new Violation('no event twice', `${tag} is in the log ${here} times and was sent ${unkeyed.length} times`);
    }
    if (unkeyed.every(({ outcome }) => outcome === 'refused')) {
      throw new Violation('a refusal changes nothing', `${tag} reached the log after it was refused`);
    }
  }

  /**
   * A patch is logged as a put: of the fields that it changes, and of all others as the write before in the same origin left them,
   * unless a newer leader has written the item.
   */
  private checkPatched(
    event: Event,
    { entity, changes }: WriteBody & { kind: 'patch' },
    former: Event | undefined,
  ): void {
    const isPut = event.kind === 'item' && event.entity === entity;
    const kept = former?.kind === 'item' ? former.metadata : undefined;
    const isMerged = isPut && Object.entries(changes).every(([name, value]) => event.metadata[name] === value);
    const isWhole = former === undefined || (isPut && isDeepStrictEqual(event.metadata, { ...kept, ...changes }));
    if (isMerged && isWhole && (former === undefined || kept !== undefined)) return;
    throw new Violation('a patch keeps the fields it does not change', `${inspect(event)} after ${inspect(former)}`);
  }

  /** At the end: `final` is the position of all regions. */
  check(final: Position): void {
    for (const write of this.writes) {
      for (const tag of write.tags) this.checkTag(write, tag, final);
      for (const token of write.positions) {
        for (const [origin, sequence] of parsePosition(token)!) {
          if (sequence <= sequenceOf(final, origin) || this.mayBeLost(origin, sequence)) continue;
          throw new Violation(
            'nothing acknowledged is lost',
            `write ${write.id} was acknowledged at ${origin}:${sequence}`,
          );
        }
      }
    }
  }

  /**
   * At the end: nothing counts of a signal whose retraction was acknowledged, as far as nothing of it is lost, and it was not sent again
   * days later.
   */
  checkTakenBack(final: Position, counting: (signals: readonly Placed[]) => ReadonlySet<Placed>): void {
    for (const { tags, bodies, outcome } of this.writes) {
      if (outcome !== 'acknowledged') continue;
      for (const [index, tag] of tags.entries()) {
        const body = bodies[index]!;
        if (body.kind !== 'retraction') continue;
        const all = [
          ...(this.chronicle.byTag.get(`signal ${body.weight}`) ?? []),
          ...(this.chronicle.byTag.get(tag) ?? []),
        ];
        if (all.some(({ origin, sequence }) => this.mayBeLost(origin.name, sequence))) continue;
        const times = all.map(({ event }) => acceptedMs(event));
        if (Math.max(...times) - Math.min(...times) > DAY_MS) continue;
        const there = all.filter(({ origin, sequence }) => sequence <= sequenceOf(final, origin.name));
        if (counting(there).size === 0) continue;
        throw new Violation('what was taken back does not count', `signal ${body.weight} counts, and was taken back`);
      }
    }
  }

  private checkTag(write: Write, tag: string, final: Position): void {
    const all = this.chronicle.byTag.get(tag) ?? [];
    const there = all.filter(({ origin, sequence }) => sequence <= sequenceOf(final, origin.name));
    const lost = all.some(({ origin, sequence }) => this.mayBeLost(origin.name, sequence));
    const sent = this.byTag.get(tag)!;
    const acknowledged = sent.filter(({ outcome }) => outcome === 'acknowledged').length;
    const refused = sent.filter(({ outcome }) => outcome === 'refused').length;
    if (refused === sent.length && all.length > 0) {
      throw new Violation('a refusal changes nothing', `${tag} of write ${write.id} was refused and is in the log`);
    }
    if (write.key !== undefined) {
      if (acknowledged > 0 && there.length === 0 && !lost) {
        throw new Violation('nothing acknowledged is lost', `${tag} of write ${write.id} is in no log`);
      }
      return;
    }
    if (there.length > sent.length - refused) {
      throw new Violation(
        'no event twice',
        `${tag} is in the log ${there.length} times; ${refused} of ${sent.length} refused`,
      );
    }
    if (there.length < acknowledged && !lost) {
      throw new Violation(
        'nothing acknowledged is lost',
        `${tag} is in the log ${there.length} times, acknowledged ${acknowledged}`,
      );
    }
  }
}

/** An event without what the log gave it. */
function contentOf({ hlc: _hlc, key: _key, aheadMs: _aheadMs, ...content }: Event): object {
  return content;
}

/** A retraction is of no time of a client's. */
function withoutTime(meant: WriteBody): object {
  if (meant.kind !== 'retraction') return meant;
  const { timeMs: _timeMs, ...content } = meant;
  return content;
}

/**
 * A signal is of the time its client says, but never later than it was accepted. A retraction takes back up to its acceptance, or up to
 * a later time of another clock.
 */
function timeOf(meant: WriteBody, event: Event): { readonly timeMs?: number; readonly upToMs?: number } {
  const atMs = acceptedMs(event);
  if (event.kind === 'retraction') return { upToMs: Math.max(atMs, event.upToMs) };
  return meant.kind === 'signal' ? { timeMs: Math.min(meant.timeMs ?? atMs, atMs) } : {};
}
