/**
 * Counts of the state, each at one position, so that regions are compared while they apply events (`POST /cluster/verify`).
 *
 *     requested ──► waiting for the position ──► counting, in slices ──► counted ──► removed, 15 s after the last request
 *
 * Under writes, regions are never at one position at one time; but they pass the same positions, since batches are the same
 * everywhere. So a count is requested ahead: it begins at the first position that covers the requested one, and counts the state
 * as it was there (`state-count.ts`). While none is requested, a batch costs two calls that do nothing.
 *
 * What a crash leaves: nothing; a restarted region begins a count with the next request.
 */
import { Refusal } from '../../../../shared/errors/errors.ts';
import type { Clock, Timer } from '../../../../shared/kernel/kernel.ts';
import type { Turns } from '../../../../shared/kernel/turns.ts';
import { DIGEST_KEPT_MS } from '../../../../shared/protocol/deadlines.ts';
import { covers, formatPosition, type Position } from '../../../../shared/protocol/position.ts';
import type { Batch } from '../../batch/batch.ts';
import type { Digested } from './digest.ts';
import { StateCount } from './state-count.ts';

/** Pause after a slice, where there is no next turn. */
const PAUSE_MS = 1;
/** Entries of one slice: about a millisecond. The limit is of work, so no clock decides how long a turn is. */
export const SLICE_ENTRIES = 2_000;
/** Limit of counts that were requested and not removed. */
export const COUNTS_LIMIT = 16;

export interface CountedDigest {
  readonly position: string;
  /** 32 hexadecimal digits. */
  readonly digest: string;
}

export interface RequestedCount {
  /** Chosen at random by the requester, which repeats it until there is a digest. */
  readonly id: string;
  /** Another one than before begins the count anew. */
  readonly covering: Position;
}

export interface DigestCounts {
  /**
   * Requests a count, or the state of one. Undefined: the position is not reached. Without a digest it is still counting. Throws a
   * `Refusal` beyond {@link COUNTS_LIMIT}.
   */
  request(request: RequestedCount): { readonly position: string; readonly digest?: string } | undefined;
  /** Counts the state at the present position. Rejects as `request` throws, and if the region stops. */
  count(): Promise<CountedDigest>;
  /** Called before each batch: until {@link applied} nothing but the batch changes the state. */
  applying(batch: Batch): void;
  /** Called after each applied batch. */
  applied(): void;
  stop(): void;
}

export interface DigestCountsOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly clock: Clock;
  readonly catalog: Digested;
  readonly ledger: Digested;
  readonly position: () => Position;
  /** Runs the action when everything that was ready in this turn has run. Absent: after a pause. */
  readonly nextTurn?: ((action: () => void) => void) | undefined;
  /** Entries that are counted in one turn. Absent: {@link SLICE_ENTRIES}. */
  readonly sliceEntries?: number;
}

export function createDigestCounts(options: DigestCountsOptions): DigestCounts {
  return new Counts(options);
}

/** A count that has begun. Requests that begin at the same position share it. */
interface Begun {
  readonly position: string;
  /** Undefined once it is counted. */
  count: StateCount | undefined;
  digest?: string;
  /** Callers of {@link DigestCounts.count}. */
  readonly callers: { readonly resolve: (counted: CountedDigest) => void; readonly reject: (error: Error) => void }[];
}

interface Requested {
  readonly covering: Position;
  begun: Begun | undefined;
  lastMs: number;
}

class Counts implements DigestCounts {
  private readonly options: DigestCountsOptions;
  private readonly byId = new Map<string, Requested>();
  /** Counts that have begun and are not counted, in that order. One after another is walked. */
  private counting: Begun[] = [];
  /** The count that began at the present position, if any did. */
  private present: Begun | undefined;
  private waiting = 0;
  private timer: Timer | undefined;
  private expiry: Timer | undefined;

  constructor(options: DigestCountsOptions) {
    this.options = options;
  }

  request({ id, covering }: RequestedCount) {
    const nowMs = this.options.clock.monotonicMs();
    const known = this.byId.get(id);
    let requested = known;
    if (requested === undefined || formatPosition(requested.covering) !== formatPosition(covering)) {
      if (known === undefined) this.refuseMore();
      requested = this.open(covering);
      this.byId.set(id, requested);
      if (known !== undefined) this.release(known);
    }
    requested.lastMs = nowMs;
    this.expireLater();
    const { begun } = requested;
    if (begun === undefined) return undefined;
    const { position, digest } = begun;
    return digest === undefined ? { position } : { position, digest };
  }

  async count(): Promise<CountedDigest> {
    this.refuseMore();
    return new Promise((resolve, reject) => this.begin({ resolve, reject }));
  }

  applying(batch: Batch): void {
    if (this.counting.length === 0) return;
    this.options.turns?.mark('digest');
    for (const { count } of this.counting) count!.applying(batch);
  }

  applied(): void {
    this.present = undefined;
    if (this.waiting === 0) return;
    const position = this.options.position();
    for (const requested of this.byId.values()) {
      if (requested.begun !== undefined || !covers(position, requested.covering)) continue;
      this.waiting--;
      requested.begun = this.begin('later');
    }
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.expiry?.cancel();
    this.expiry = undefined;
    for (const { callers } of this.counting) {
      for (const { reject } of callers) reject(new Refusal('not_ready', 'the region stops'));
    }
    this.byId.clear();
    this.counting = [];
    this.present = undefined;
    this.waiting = 0;
  }

  private open(covering: Position): Requested {
    const reached = covers(this.options.position(), covering);
    if (!reached) this.waiting++;
    return { covering, begun: reached ? this.begin('at once') : undefined, lastMs: 0 };
  }

  private refuseMore(): void {
    if (this.byId.size < COUNTS_LIMIT && this.counting.length < COUNTS_LIMIT) return;
    throw new Refusal('overloaded', `the region counts its state for ${COUNTS_LIMIT} comparisons: repeat in 15 s`);
  }

  /**
   * A count of the state at the present position: one that is under way or was requested, if there is one; for a caller only one
   * that is under way. `later`: not within the turn of the batch that led to this position.
   */
  private begin(how: 'at once' | 'later' | Begun['callers'][number]): Begun {
    const caller = typeof how === 'string' ? undefined : how;
    if (this.present !== undefined && (caller === undefined || this.present.digest === undefined)) {
      if (caller !== undefined) this.present.callers.push(caller);
      return this.present;
    }
    const { catalog, ledger, position } = this.options;
    const begun: Begun = {
      position: formatPosition(position()),
      count: new StateCount([catalog, ledger]),
      callers: caller === undefined ? [] : [caller],
    };
    this.present = begun;
    this.counting.push(begun);
    if (this.timer !== undefined) return begun;
    if (how === 'later') this.sliceLater();
    else this.slice();
    return begun;
  }

  /**
   * In the next turn, not after a pause: on a machine with more to do, a process that rests after every slice waits for its core
   * as often.
   */
  private sliceLater(): void {
    const { clock, nextTurn } = this.options;
    let isCancelled = false;
    const action = (): void => {
      if (!isCancelled) this.slice();
    };
    if (nextTurn === undefined) {
      this.timer = clock.after(PAUSE_MS, action);
      return;
    }
    nextTurn(action);
    this.timer = {
      cancel: () => {
        isCancelled = true;
      },
    };
  }

  private slice(): void {
    this.timer = undefined;
    const [first] = this.counting;
    if (first === undefined) return;
    this.options.turns?.mark('digest');
    first.count!.slice(this.options.sliceEntries ?? SLICE_ENTRIES);
    const { digest } = first.count!;
    if (digest !== undefined) {
      this.counting.shift();
      first.count = undefined;
      first.digest = digest;
      // What a caller gets is counted then, not remembered.
      if (this.present === first && first.callers.length > 0) this.present = undefined;
      for (const { resolve } of first.callers) resolve({ position: first.position, digest });
    }
    if (this.counting.length > 0) this.sliceLater();
  }

  private expireLater(): void {
    this.expiry ??= this.options.clock.after(DIGEST_KEPT_MS, () => {
      this.expiry = undefined;
      const beforeMs = this.options.clock.monotonicMs() - DIGEST_KEPT_MS;
      for (const [id, requested] of this.byId) {
        if (requested.lastMs > beforeMs) continue;
        this.byId.delete(id);
        this.release(requested);
      }
      if (this.byId.size > 0) this.expireLater();
    });
  }

  /** After the request was removed: a count that is for no other is removed as well. */
  private release({ begun }: Requested): void {
    if (begun === undefined) {
      this.waiting--;
      return;
    }
    const isCalled = begun.digest === undefined && begun.callers.length > 0;
    if (isCalled || [...this.byId.values()].some((other) => other.begun === begun)) return;
    this.counting = this.counting.filter((other) => other !== begun);
    if (this.present === begun) this.present = undefined;
  }
}
