/**
 * The reads of a region share the event loop with its writes: together they get a short slice of each turn, and unfinished reads
 * continue in later turns. The read with the least computation so far is first, so a cheap read waits for one slice at most,
 * whatever the number of expensive ones; expensive ones progress when no cheaper one waits.
 *
 * Overload: a read that waits longer than {@link DEADLINE_MS}, and the most expensive one if more than {@link WAITING_LIMIT}
 * wait, is refused with `overloaded`. So expensive reads are refused first, and writes, which never wait here, are still
 * accepted.
 *
 * A read is a function that is repeated: it throws {@link Unfinished} for work that does not fit into the slice, and is called
 * again when that is done. Its result is valid in the turn in which it returned.
 *
 * A read may keep others waiting (a text search, while items wait to be indexed): it then gets every other slice.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Activity, Turns } from '../../../shared/kernel/turns.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';

/** Limit of all reads together in one turn, ms. */
const SLICE_MS = 2;
/** How long a read may wait and compute. */
const DEADLINE_MS = 5_000;
const WAITING_LIMIT = 256;

/** A part of a read that takes more than a slice. */
export interface Work {
  /** Continues until it is done (true) or `over`. Makes progress in every call. */
  step(over: () => boolean): boolean;
  /** Whether it has to wait for other reads, and cannot continue now. */
  isBlocked?(): boolean;
  /** Whether others have to wait for it. */
  isUrgent?(): boolean;
}

/** Thrown by a read that must be called again once the work is done. It is not an error, so it has no stack. */
export class Unfinished {
  readonly work: Work;

  constructor(work: Work) {
    this.work = work;
  }
}

export interface ReadQueueOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly region: string;
  /** Runs the action in the next turn of the event loop, after what has arrived meanwhile. */
  readonly nextTurn: (action: () => void) => void;
  readonly sliceMs?: number;
}

interface Job {
  readonly activity: Activity | undefined;
  readonly attempt: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly deadlineMs: number;
  /** Whether a caller still waits for it. */
  readonly isWanted: () => boolean;
  work: Work | undefined;
  spentMs: number;
}

export interface ReadOptions {
  /** Of every turn in which it computes. */
  readonly activity?: Activity;
  /** Reads with the same key that are in progress at the same time are computed once. */
  readonly key?: string;
  readonly isWanted?: () => boolean;
}

export class ReadQueue {
  private readonly options: ReadQueueOptions;
  private readonly sliceMs: number;
  private readonly waiting = new Set<Job>();
  /** By key: the read in progress, and whether each of its callers still waits. */
  private readonly shared = new Map<
    string,
    { readonly result: Promise<unknown>; readonly wanted: (() => boolean)[] }
  >();
  private sliceEndMs = Number.NEGATIVE_INFINITY;
  private turning = false;
  private turns = 0;
  private readonly outcomes: { inc(labels: { readonly outcome: string }): void };

  constructor(options: ReadQueueOptions) {
    this.options = options;
    this.sliceMs = options.sliceMs ?? SLICE_MS;
    const { metrics } = options;
    metrics.gauge({
      name: 'tidal_reads_waiting',
      help: 'Reads that have not finished within their first slice of a turn and wait for the next.',
      collect: (gauge) => gauge.set(this.waiting.size),
    });
    this.outcomes = metrics.counter({
      name: 'tidal_sliced_reads_total',
      help: 'Reads that took more than one slice of a turn: answered, or refused as overloaded.',
      labels: ['outcome'],
      series: [{ outcome: 'answered' }, { outcome: 'overloaded' }],
    });
  }

  /** True when the slice of this turn is used up. */
  readonly over = (): boolean => this.options.clock.monotonicMs() >= this.sliceEndMs;

  /**
   * Resolves to what `attempt` returns. `attempt` is called in this turn if the slice allows, else in later ones. Rejects with
   * what it throws, and with the `Refusal` `overloaded`.
   */
  run<T>(attempt: () => T, { activity, key, isWanted = () => true }: ReadOptions = {}): Promise<T> {
    const same = key === undefined ? undefined : this.shared.get(key);
    if (same !== undefined) {
      same.wanted.push(isWanted);
      return same.result as Promise<T>;
    }
    const wanted = [isWanted];
    const result = new Promise<T>((resolve, reject) => {
      const deadlineMs = this.options.clock.monotonicMs() + DEADLINE_MS;
      const job: Job = {
        ...{ activity, attempt, reject, deadlineMs, work: undefined, spentMs: 0 },
        resolve: resolve as (value: unknown) => void,
        isWanted: () => wanted.some((is) => is()),
      };
      this.beginSlice();
      if (!this.over() && this.go(job)) return;
      this.waiting.add(job);
      this.refuseTooMany();
    });
    if (key === undefined) return result;
    this.shared.set(key, { result, wanted });
    const forget = (): boolean => this.shared.delete(key);
    result.then(forget, forget);
    return result;
  }

  private beginSlice(): void {
    if (this.turning) return;
    this.turning = true;
    this.sliceEndMs = this.options.clock.monotonicMs() + this.sliceMs;
    this.options.nextTurn(() => this.turn());
  }

  private turn(): void {
    this.turning = false;
    if (this.waiting.size === 0) return;
    this.beginSlice();
    // Cheaper ones that do not wait for it would otherwise hold up those that do.
    let isUrgent = ++this.turns % 2 === 0;
    do {
      const job = (isUrgent ? this.cheapest(({ work }) => work?.isUrgent?.() === true) : undefined) ?? this.cheapest();
      isUrgent = false;
      if (job === undefined) return;
      if (this.go(job)) this.waiting.delete(job);
    } while (!this.over());
  }

  /** The read that has computed least; of equals the first one. Expired and abandoned ones are dropped. */
  private cheapest(among = ({ work }: Job): boolean => work?.isBlocked?.() !== true): Job | undefined {
    const nowMs = this.options.clock.monotonicMs();
    let cheapest: Job | undefined;
    for (const job of this.waiting) {
      if (!job.isWanted()) {
        this.waiting.delete(job);
        job.reject(new Refusal('invalid_request', 'the client has closed the connection'));
      } else if (nowMs > job.deadlineMs) this.refuse(job);
      else if (among(job) && (cheapest === undefined || job.spentMs < cheapest.spentMs)) cheapest = job;
    }
    return cheapest;
  }

  /** Continues it until the slice is over; true if it has finished. */
  private go(job: Job): boolean {
    const { clock } = this.options;
    if (job.activity !== undefined) this.options.turns?.mark(job.activity);
    const startMs = clock.monotonicMs();
    try {
      for (;;) {
        if (job.work !== undefined && !job.work.step(this.over)) return false;
        job.work = undefined;
        try {
          const value = job.attempt();
          if (job.spentMs > 0) this.outcomes.inc({ outcome: 'answered' });
          job.resolve(value);
          return true;
        } catch (error) {
          if (!(error instanceof Unfinished)) throw error;
          job.work = error.work;
          // The work may be done already, and the read repeated for what was written since: that too has to fit the slice.
          if (this.over()) return false;
        }
      }
    } catch (error) {
      job.reject(error);
      return true;
    } finally {
      job.spentMs += clock.monotonicMs() - startMs;
    }
  }

  private refuseTooMany(): void {
    if (this.waiting.size <= WAITING_LIMIT) return;
    let dearest: Job | undefined;
    for (const job of this.waiting) if (dearest === undefined || job.spentMs >= dearest.spentMs) dearest = job;
    if (dearest !== undefined) this.refuse(dearest);
  }

  private refuse(job: Job): void {
    this.waiting.delete(job);
    this.outcomes.inc({ outcome: 'overloaded' });
    job.reject(
      new Refusal('overloaded', `${this.options.region} has more reads than it can compute`, {
        hint: 'ask again, ask another region, or ask for something cheaper: docs/limits.md',
      }),
    );
  }
}
