/**
 * Idempotency keys in the state: which of several events of one keyed write in the log counts.
 *
 * A *copy* is one event of the log under a key. There is more than one if a region accepted the write without knowing that
 * another had: the client repeated it after a forced promotion, and the old leader's tail was merged later. Copies belong to one
 * *request*, and are duplicates, if they have the same id, the same body, and were accepted within seven days of the first
 * of them. The one with the lowest (epoch, origin, sequence) of a request counts. Another body under the same id is another
 * request, so that no acknowledged write is lost because a key was used wrongly.
 *
 * Everything here is a function of the set of copies in the log, never of their order: regions at the same position agree
 * (invariant 4). The log stores the copies of every id with the batches, and as durably; nothing is pruned by a clock, so nothing
 * depends on when it was pruned.
 *
 * A *retraction* is a copy too, of the signal that it takes back: no request counts of which a copy was accepted up to its time, in
 * the seven days before it. It never counts itself, and may be applied before what it takes back.
 *
 * Only signals are counted. A put or delete that is in the log twice is merged twice into its register, which is the same as
 * once: both write the same value, and the later one determines its rank among the others.
 */

import { hash } from 'node:crypto';
import {
  acceptedMs,
  type Event,
  type EventKey,
  KEY_KEPT_MS,
  type WriteBody,
} from '../../../../shared/protocol/events.ts';
import type { Batch } from '../../batch/batch.ts';
import type { Ledger } from '../ledger/ledger.ts';

export { KEY_KEPT_MS };

/**
 * Epoch of a copy that counts in a mended state (`services/region/mended/mended.ts`): below every epoch, so that it continues to
 * count.
 */
export const MENDED_EPOCH = 0;

/**
 * What a write is, as far as its record says. The body hash is of the client's whole write, and two signals with one hash can be
 * searched for; so the record has a hash of the signal's values as well, which includes the former: with both equal, what is counted for
 * one can be subtracted for the other. Records of an earlier version, and those of other writes, have none.
 */
export interface Body {
  readonly bodyHash: string;
  /** {@link VALUES_BYTES}, hexadecimal. */
  readonly values?: string;
}

export const VALUES_BYTES = 8;

/** One event of the log under an idempotency key. */
export interface Copy extends Body {
  readonly origin: string;
  readonly sequence: number;
  readonly epoch: number;
  /** When it was accepted, epoch ms. */
  readonly acceptedMs: number;
  /** The event time of a signal, epoch ms; up to when a retraction takes back; of anything else its acceptance time. */
  readonly timeMs: number;
  readonly isRetraction?: true;
}

export function bodyOf(write: Event | WriteBody, { bodyHash }: EventKey): Body {
  if (write.kind !== 'signal' && write.kind !== 'retraction') return { bodyHash };
  const { entity, signal, weight } = write;
  const values = hash('sha256', `${bodyHash} ${entity} ${weight} ${signal}`, 'hex').slice(0, 2 * VALUES_BYTES);
  return { bodyHash, values };
}

function isSameBody(one: Body, other: Body): boolean {
  if (one.bodyHash !== other.bodyHash) return false;
  return one.values === undefined || other.values === undefined || one.values === other.values;
}

/** Origin and sequence of an event. */
export interface Place {
  readonly origin: string;
  readonly epoch: number;
  readonly sequence: number;
}

export function copyOf(event: Event, key: EventKey, { origin, epoch, sequence }: Place): Copy {
  const atMs = acceptedMs(event);
  const body = bodyOf(event, key);
  if (event.kind === 'retraction') {
    return { origin, sequence, epoch, acceptedMs: atMs, timeMs: event.upToMs, ...body, isRetraction: true };
  }
  const timeMs = event.kind === 'signal' ? event.timeMs : atMs;
  return { origin, sequence, epoch, acceptedMs: atMs, timeMs, ...body };
}

/**
 * Copies of one id and body, as requests: a copy accepted seven days or more after a request's first begins another. Retractions
 * are in none.
 */
function requestsOf(copies: readonly Copy[]): Copy[][] {
  const requests: Copy[][] = [];
  const requested = copies.filter(({ isRetraction }) => isRetraction !== true);
  for (const copy of requested.sort((a, b) => a.acceptedMs - b.acceptedMs)) {
    const request = requests.at(-1);
    const first = request?.[0];
    if (request === undefined || first === undefined || copy.acceptedMs >= first.acceptedMs + KEY_KEPT_MS) {
      requests.push([copy]);
    } else {
      request.push(copy);
    }
  }
  return requests;
}

function lowest(copies: readonly Copy[]): Copy {
  return copies.reduce((least, copy) => (comparePlaces(copy, least) < 0 ? copy : least));
}

function comparePlaces(a: Place, b: Place): number {
  if (a.epoch !== b.epoch) return a.epoch - b.epoch;
  if (a.origin !== b.origin) return a.origin < b.origin ? -1 : 1;
  return a.sequence - b.sequence;
}

/** The copies of one id and body that count: one of each request that was not taken back. */
export function counting(copies: readonly Copy[]): readonly Copy[] {
  const retractions = copies.filter(({ isRetraction }) => isRetraction);
  return requestsOf(copies)
    .filter((request) => takingBack(request, retractions).length === 0)
    .map(lowest);
}

/**
 * Those that take the request back. What a mended state counts stays: its buckets are not those that the event was added to.
 */
function takingBack(request: readonly Copy[], retractions: readonly Copy[]): readonly Copy[] {
  if (request.some(({ epoch }) => epoch === MENDED_EPOCH)) return [];
  return retractions.filter(({ acceptedMs, timeMs }) =>
    request.some((copy) => copy.acceptedMs > acceptedMs - KEY_KEPT_MS && copy.acceptedMs <= timeMs),
  );
}

/** A signal under a key, or its retraction. */
export type KeyedSignal = Event & { readonly kind: 'signal' | 'retraction'; readonly key: EventKey };

/**
 * Adds the keyed signal at `place`, or its retraction, to the ledger, which already has `before`, the other copies of its id: what
 * counts now and did not is added, what no longer counts is retracted. The times of all signals are noted, also of those that are
 * taken back.
 */
export function countSignal(
  ledger: Pick<Ledger, 'add' | 'note' | 'retract'>,
  event: KeyedSignal,
  place: Place,
  before: readonly Copy[],
): void {
  const { entity, signal, weight, key } = event;
  const copy = before.length === 0 ? undefined : copyOf(event, key, place);
  const others = copy === undefined ? [] : before.filter((other) => isSameBody(other, copy));
  if (copy === undefined || others.length === 0) {
    // The common case.
    if (event.kind === 'signal') ledger.add(entity, signal, weight, event.timeMs);
    return;
  }
  const counted = counting(others);
  const counts = counting([...others, copy]);
  if (event.kind === 'signal' && !counts.includes(copy)) ledger.note(entity, signal, copy.timeMs);
  // Added before the retraction, so that the pair always has an event.
  for (const one of counts) if (!counted.includes(one)) ledger.add(entity, signal, weight, one.timeMs);
  for (const one of counted) if (!counts.includes(one)) ledger.retract(entity, signal, weight, one.timeMs);
}

export function isKeyedSignal(event: Event): event is KeyedSignal {
  return (event.kind === 'signal' || event.kind === 'retraction') && event.key !== undefined;
}

/**
 * The state of a key for a write at `nowMs`: the copy that counts of the same request, `conflict` if the key was used with
 * another body, undefined if it is new.
 */
export function recall(copies: readonly Copy[], body: Body, nowMs: number): Copy | 'conflict' | undefined {
  const known = (of: Body): Copy[] | undefined => {
    const request = requestsOf(copies.filter((copy) => isSameBody(copy, of))).at(-1);
    return request !== undefined && nowMs < request[0]!.acceptedMs + KEY_KEPT_MS ? request : undefined;
  };
  const request = known(body);
  if (request !== undefined) return lowest(request);
  return copies.some((copy) => !isSameBody(copy, body) && known(copy) !== undefined) ? 'conflict' : undefined;
}

/**
 * How long a request can be taken back, ms: a little less than its key is known, so that a retraction that is admitted by then has a
 * time within the seven days, however long it waits for its group (`intake/group-commit.ts`).
 */
export const RETRACTABLE_MS = KEY_KEPT_MS - 60_000;

/**
 * How long after its admission a write is known to be fresh without another look: half of what a retraction is refused before the end
 * of its seven days, so that one whose group takes as long to build has a time within them.
 */
export const FRESH_FOR_MS = (KEY_KEPT_MS - RETRACTABLE_MS) / 2;

/**
 * The state of a key for a retraction at `nowMs`: up to when it has to take back, and the copy that counts, whose values it has to
 * have; the first copy that has done so; `mended` if a mended state counts the signal; otherwise as {@link recall}.
 */
export function recallForRetraction(
  copies: readonly Copy[],
  body: Body,
  nowMs: number,
): { readonly upToMs: number; readonly counts: Copy } | Copy | 'mended' | 'conflict' | undefined {
  const met = recall(copies, body, nowMs);
  if (met === undefined || met === 'conflict') return met;
  if (met.epoch === MENDED_EPOCH) return 'mended';
  const own = copies.filter((copy) => isSameBody(copy, body));
  const request = requestsOf(own).at(-1)!;
  const done = takingBack(
    request,
    own.filter(({ isRetraction }) => isRetraction),
  );
  if (done.length > 0) return lowest(done);
  if (nowMs >= request[0]!.acceptedMs + RETRACTABLE_MS) return undefined;
  return { upToMs: request.at(-1)!.acceptedMs, counts: met };
}

/**
 * The first keyed signal of a batch that may be a duplicate of one whose record was removed. Records whose newest copy was
 * accepted before `forgottenMs` were removed; a signal accepted less than seven days after that time may be within seven days of
 * a removed copy. Puts and deletes need no record: merged twice they are the same as once.
 */
export function mayBeForgotten(batch: Batch, forgottenMs: number): Copy | undefined {
  if (forgottenMs === 0 || batch.signals !== undefined) return undefined;
  const { origin, epoch } = batch;
  for (const [index, event] of batch.events.entries()) {
    if (!isKeyedSignal(event)) continue;
    if (acceptedMs(event) >= forgottenMs + KEY_KEPT_MS) continue;
    return copyOf(event, event.key, { origin, epoch, sequence: batch.first + index });
  }
  return undefined;
}

/** Describes such a signal, for the operator. */
export function forgottenText({ sequence, acceptedMs }: Copy, forgottenMs: number): string {
  const [accepted, forgotten] = [acceptedMs, forgottenMs].map((ms) => new Date(ms).toISOString());
  return `holds a signal under an idempotency key, its event ${sequence}, accepted at ${accepted}, and keys used up to ${forgotten} are forgotten: whether it was counted already cannot be told; docs/runbook.md says under keys_forgotten what to do`;
}
