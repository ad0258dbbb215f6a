/**
 * Everything that ever reached a disk, of all regions together: answers, states and positions are judged by it. The stores report
 * flushes to it, and of the code under test it only knows the format of a batch.
 */

import { type Batch, chainHash, decodeBatch, NO_PREDECESSOR } from '../../services/region/batch/batch.ts';
import { messageOf } from '../../shared/errors/errors.ts';
import type { Event } from '../../shared/protocol/events.ts';
import { type Position, regionOf } from '../../shared/protocol/position.ts';
import { Violation } from './violation.ts';

export interface Origin {
  readonly name: string;
  readonly epoch: number;
  /** Event of sequence n at n − 1. */
  readonly events: Event[];
  readonly batches: Map<number, Batch>;
  chain: Uint8Array;
}

export interface Placed {
  readonly origin: Origin;
  readonly sequence: number;
  readonly event: Event;
}

export class Chronicle {
  readonly origins = new Map<string, Origin>();
  /** By the name `nameOf` gives an event. */
  readonly byTag = new Map<string, Placed[]>();
  private readonly leaders = new Map<number, string>();

  /** A batch reached the disk of `region` for the first time there. */
  flushed(region: string, bytes: Uint8Array): Batch {
    const batch = readable(bytes);
    const { origin, first, last, epoch } = batch;
    const known = this.origins.get(origin) ?? this.open(batch, region);
    if (known.epoch !== epoch) {
      throw new Violation('one epoch an origin', `${origin} has epoch ${known.epoch}, and ${epoch} at ${first}`);
    }
    const before = known.batches.get(first);
    if (before !== undefined) {
      if (Buffer.compare(before.bytes, bytes) === 0) return batch;
      throw new Violation('one event a sequence', `${origin}:${first} is two batches, one of them in ${region}`);
    }
    if (first !== known.events.length + 1) {
      throw new Violation('no gaps', `${origin}:${first} reached a disk after ${known.events.length}`);
    }
    if (Buffer.compare(batch.chain, known.chain) !== 0) {
      throw new Violation('no gaps', `${origin}:${first} does not chain to its predecessor`);
    }
    if (regionOf(origin) !== region) {
      throw new Violation('flushed before it leaves', `${origin}:${first} was on the disk of ${region} before its own`);
    }
    known.batches.set(first, batch);
    known.chain = chainHash(bytes);
    for (const [index, event] of batch.events.entries()) {
      known.events.push(event);
      const tag = tagOf(event);
      const same = this.byTag.get(tag);
      const placed = { origin: known, sequence: first + index, event };
      if (same === undefined) this.byTag.set(tag, [placed]);
      else same.push(placed);
    }
    if (last !== known.events.length) throw new Violation('no gaps', `${origin}:${first} does not end at ${last}`);
    return batch;
  }

  private open({ origin, epoch }: Batch, region: string): Origin {
    const leader = this.leaders.get(epoch);
    if (leader !== undefined && leader !== regionOf(origin)) {
      throw new Violation('one leader an epoch', `${leader} and ${region} both accepted in epoch ${epoch}`);
    }
    this.leaders.set(epoch, regionOf(origin));
    const opened: Origin = { name: origin, epoch, events: [], batches: new Map(), chain: NO_PREDECESSOR };
    this.origins.set(origin, opened);
    return opened;
  }

  /** No region remembers an epoch above this one any more: it may be given again. */
  forgetLeaders(remembered: number): void {
    for (const epoch of this.leaders.keys()) if (epoch > remembered) this.leaders.delete(epoch);
  }

  /** How much of an origin ever reached a disk. */
  last(origin: string): number {
    return this.origins.get(origin)?.events.length ?? 0;
  }

  event(origin: string, sequence: number): Event | undefined {
    return this.origins.get(origin)?.events[sequence - 1];
  }

  /**
   * The put or delete of the entity before this event of its origin; undefined if there is none, or an origin of a later epoch has
   * one.
   */
  formerItem({ origin, epoch }: Pick<Batch, 'origin' | 'epoch'>, sequence: number, entity: number): Event | undefined {
    const isOne = (event: Event): boolean =>
      event.entity === entity && (event.kind === 'item' || event.kind === 'delete');
    for (const later of this.origins.values()) if (later.epoch > epoch && later.events.some(isOne)) return undefined;
    return this.origins
      .get(origin)
      ?.events.slice(0, sequence - 1)
      .findLast(isOne);
  }

  /** Throws unless everything up to there was on some disk by now. */
  requireFlushed(position: Position, check: string, what: string): void {
    for (const [origin, sequence] of position) {
      const last = this.last(origin);
      if (sequence > last) throw new Violation(check, `${what} says ${origin}:${sequence}; on a disk is ${last}`);
    }
  }

  /** Every event up to a position. */
  *upTo(position: Position): Generator<Placed> {
    for (const [name, sequence] of position) {
      const origin = this.origins.get(name);
      if (origin === undefined) continue;
      for (let at = 1; at <= sequence; at++) yield { origin, sequence: at, event: origin.events[at - 1]! };
    }
  }
}

/** What is in a log can be read, every event of it. */
function readable(bytes: Uint8Array): Batch {
  try {
    const batch = decodeBatch(bytes);
    void batch.events;
    return batch;
  } catch (error) {
    throw new Violation('every event in a log can be applied', messageOf(error));
  }
}

/**
 * What the clients of a run put into an event to distinguish it from every other: the weight of a signal, the title of an item,
 * the first value of an embedding. A retraction has the weight of what it takes back. A delete has nothing but its item and whether it has a key.
 */
export function tagOf(event: Event): string {
  switch (event.kind) {
    case 'signal':
      return `signal ${event.weight}`;
    case 'retraction':
      return `retraction ${event.weight}`;
    case 'item':
      return `item ${String(event.metadata.tag)}`;
    case 'embedding':
      return `embedding ${event.values[0]}`;
    case 'delete':
      return `delete ${event.entity}${event.key === undefined ? '' : ' by key'}`;
  }
}
