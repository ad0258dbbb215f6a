/**
 * The idempotency keys known to intake: records in the log, received events that are being appended, and writes that wait for
 * their commit. There is no gap between these: a write leaves `waiting` only after its commit has resolved, and then the log
 * knows it; a duplicate that is received while it waits is found when its batch is built.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import { type EventKey, RETRACTED_AHEAD_LIMIT_MS, type WriteBody } from '../../../shared/protocol/events.ts';
import type { Position } from '../../../shared/protocol/position.ts';
import { bodyOf, type Copy, recall, recallForRetraction } from '../state/keys/keys.ts';
import { clockUnsafe, conflict, countedBeforeMending, logDamaged, nothingToRetract } from './refusals/refusals.ts';

export interface KeyedWritesOptions {
  /** Every durable event in the log under an id. */
  readonly copies: (id: string) => readonly Copy[];
  /** While a received event under the id's key is being appended, of this write or another: resolves when that has ended. */
  readonly arriving: (id: string) => Promise<void> | undefined;
}

/**
 * The state of the keys of writes that are atomic together.
 *
 * - `fresh`: `bodies` are to be accepted; if the log has the others already (a forced promotion has split a bulk), they are at
 *   `known`.
 * - `known`: all were accepted before, and are at `known`.
 * - `busy`: some are waiting for their commit, or are being received; check again after `over`.
 * - `refused`: a key was used with another body, has nothing that a retraction could take back, or its record is damaged.
 */
export type Met =
  | { readonly is: 'fresh'; readonly bodies: readonly WriteBody[]; readonly known: Position }
  | { readonly is: 'known'; readonly known: Position }
  | { readonly is: 'busy'; readonly over: Promise<void> }
  | { readonly is: 'refused'; readonly refusal: Refusal };

interface InFlight {
  readonly bodyHash: string;
  readonly over: Promise<void>;
}

export class KeyedWrites {
  private readonly options: KeyedWritesOptions;
  private readonly inFlight = new Map<string, InFlight>();

  constructor(options: KeyedWritesOptions) {
    this.options = options;
  }

  /** `atMs`: the acceptance time they would have. If it turns out to be earlier, the caller checks again ({@link haveCome}). */
  meet(bodies: readonly WriteBody[], atMs: number): Met {
    const known = new Map<string, number>();
    const fresh: WriteBody[] = [];
    let busy: Promise<void> | undefined;
    for (const body of bodies) {
      const { key } = body;
      const waiting = key === undefined ? undefined : this.inFlight.get(key.id);
      const arriving = key === undefined ? undefined : this.options.arriving(key.id);
      if (key === undefined) fresh.push(body);
      else if (waiting !== undefined) {
        if (waiting.bodyHash !== key.bodyHash) return { is: 'refused', refusal: conflict() };
        busy = waiting.over;
      } else if (arriving !== undefined) busy = arriving;
      else {
        const met = this.meetOne(key, body, atMs);
        if (met instanceof Refusal) return { is: 'refused', refusal: met };
        if ('body' in met) fresh.push(met.body);
        else known.set(met.origin, Math.max(met.sequence, known.get(met.origin) ?? 0));
      }
    }
    if (busy !== undefined) return { is: 'busy', over: busy };
    return fresh.length === 0 ? { is: 'known', known } : { is: 'fresh', bodies: fresh, known };
  }

  /**
   * Whether one of these, which were fresh, is not by now: a duplicate is known, or may be being appended, or a retraction takes
   * back other ones; `atMs` as in {@link meet}.
   */
  haveCome(bodies: readonly WriteBody[], atMs: number): boolean {
    const { arriving } = this.options;
    return bodies.some((body) => {
      const { key } = body;
      if (key === undefined) return false;
      if (arriving(key.id) !== undefined) return true;
      const met = this.meetOne(key, body, atMs);
      if (met instanceof Refusal || !('body' in met)) return true;
      if (body.kind !== 'retraction') return false;
      const { upToMs, of } = met.body as typeof body;
      return upToMs !== body.upToMs || of?.origin !== body.of?.origin || of?.sequence !== body.of?.sequence;
    });
  }

  private meetOne(key: EventKey, body: WriteBody, atMs: number): MetOne {
    let copies: readonly Copy[];
    try {
      copies = this.options.copies(key.id);
    } catch (error) {
      return logDamaged(error, 'the record of the Idempotency-Key');
    }
    return meetOne(copies, key, body, atMs);
  }

  /** Registers these as waiting for their commit, until `outcome` resolves. */
  waitFor(bodies: readonly WriteBody[], outcome: Promise<unknown>): void {
    const ids = bodies.flatMap(({ key }) => (key === undefined ? [] : [key]));
    const over = outcome.then(() => {
      for (const { id } of ids) this.inFlight.delete(id);
    });
    for (const { id, bodyHash } of ids) this.inFlight.set(id, { bodyHash, over });
  }
}

/** The write to be accepted, the event that it was accepted as before, or why it is refused. */
type MetOne = { readonly body: WriteBody } | Copy | Refusal;

function meetOne(copies: readonly Copy[], key: EventKey, body: WriteBody, atMs: number): MetOne {
  // The common case.
  if (copies.length === 0) return body.kind === 'retraction' ? nothingToRetract() : { body };
  const asked = bodyOf(body, key);
  if (body.kind !== 'retraction') {
    const met = recall(copies, asked, atMs);
    return met === 'conflict' ? conflict() : (met ?? { body });
  }
  const met = recallForRetraction(copies, asked, atMs);
  if (met === 'conflict') return conflict();
  if (met === 'mended') return countedBeforeMending();
  if (met === undefined) return nothingToRetract();
  if (!('upToMs' in met)) return met;
  const { upToMs, counts } = met;
  if (upToMs - atMs > RETRACTED_AHEAD_LIMIT_MS) return clockUnsafe();
  return { body: { ...body, upToMs, of: { origin: counts.origin, sequence: counts.sequence } } };
}
