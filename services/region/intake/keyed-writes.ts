/**
 * What intake knows of idempotency keys: the log's copies, those that are on their way into it from another region, and the
 * writes that wait for their commit. Between them nothing falls through: a write leaves `waiting` only after its commit
 * resolved, and then the log knows it; a copy that comes while it waits is looked for again when its batch is built.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import type { EventBody } from '../../../shared/protocol/events.ts';
import type { Position } from '../../../shared/protocol/position.ts';
import { type Copy, recall } from '../state/keys/keys.ts';

export interface KeyedWritesOptions {
  /** Every durable copy in the log under an id. */
  readonly copies: (id: string) => readonly Copy[];
  /** While a copy under an id's key is being appended, of this write or another: resolves when that is over. */
  readonly arriving: (id: string) => Promise<void> | undefined;
}

/**
 * What writes that stand or fall together meet.
 *
 * - `fresh`: `bodies` are to be taken; where the log has the others already - a forced promotion left a bulk cut in two -
 *   they are at `known`.
 * - `known`: all were taken before, and are at `known`.
 * - `busy`: some are waiting for their commit, or come from another region; look again after `over`.
 */
export type Met =
  | { readonly is: 'fresh'; readonly bodies: readonly EventBody[]; readonly known: Position }
  | { readonly is: 'known'; readonly known: Position }
  | { readonly is: 'busy'; readonly over: Promise<void> }
  | { readonly is: 'conflict'; readonly refusal: Refusal };

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

  /** `atMs`: the acceptance time they would have. One that is earlier in the end asks again ({@link haveCome}). */
  meet(bodies: readonly EventBody[], atMs: number): Met {
    const known = new Map<string, number>();
    const fresh: EventBody[] = [];
    let busy: Promise<void> | undefined;
    for (const body of bodies) {
      const { key } = body;
      const waiting = key === undefined ? undefined : this.inFlight.get(key.id);
      const arriving = key === undefined ? undefined : this.options.arriving(key.id);
      if (key === undefined) fresh.push(body);
      else if (waiting !== undefined) {
        if (waiting.bodyHash !== key.bodyHash) return { is: 'conflict', refusal: conflict() };
        busy = waiting.over;
      } else if (arriving !== undefined) busy = arriving;
      else {
        const met = recall(this.options.copies(key.id), key, atMs);
        if (met === 'conflict') return { is: 'conflict', refusal: conflict() };
        if (met === undefined) fresh.push(body);
        else known.set(met.origin, Math.max(met.sequence, known.get(met.origin) ?? 0));
      }
    }
    if (busy !== undefined) return { is: 'busy', over: busy };
    return fresh.length === 0 ? { is: 'known', known } : { is: 'fresh', bodies: fresh, known };
  }

  /** Whether a copy of one of these, which were fresh, is known by now, or may be on its way; `atMs` as in {@link meet}. */
  haveCome(bodies: readonly EventBody[], atMs: number): boolean {
    const { arriving, copies } = this.options;
    return bodies.some(
      ({ key }) =>
        key !== undefined && (arriving(key.id) !== undefined || recall(copies(key.id), key, atMs) !== undefined),
    );
  }

  /** These wait for their commit from now on, until `outcome` is there. */
  waitFor(bodies: readonly EventBody[], outcome: Promise<unknown>): void {
    const ids = bodies.flatMap(({ key }) => (key === undefined ? [] : [key]));
    const over = outcome.then(() => {
      for (const { id } of ids) this.inFlight.delete(id);
    });
    for (const { id, bodyHash } of ids) this.inFlight.set(id, { bodyHash, over });
  }
}

function conflict(): Refusal {
  return new Refusal(
    'idempotency_conflict',
    'the Idempotency-Key was used for another write within the last seven days',
    {
      hint: 'send a new key with a new write, and the same body with the same key',
    },
  );
}
