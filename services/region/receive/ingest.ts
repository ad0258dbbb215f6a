/** Accepts foreign batches by position. See `receive.ts`. */
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { regionOf, sequenceOf } from '../../../shared/protocol/position.ts';
import type { Apply } from '../apply/apply.ts';
import { type Batch, NO_PREDECESSOR } from '../batch/batch.ts';
import { type Declared, declaredBy, describeSchema, undeclaredIn } from '../compatible/compatible.ts';
import { Queue } from '../queue/queue.ts';
import type { Schema } from '../schema/schema.ts';
import { forgottenText, mayBeForgotten } from '../state/keys/keys.ts';
import { TurnShare, type WorkLimits, workLimits, workOf } from '../turn-share/turn-share.ts';
import type { StreamOffset, Wal } from '../wal/wal.ts';
import {
  type Gap,
  type Ingest,
  type Refused,
  type RefusedFor,
  refusedFor,
  type StopCode,
  type Stopped,
  type Taken,
} from './receive.ts';

/** Limit of stopped origins; refusals of further ones are only counted. */
const STOPPED_LIMIT = 1_000;
/** A refusal is reported in the status for this long, and logged at most this often for each reason. */
const RECENT_MS = 30_000;

/** What is wrong with a batch that is otherwise intact. */
export interface Doubt {
  readonly reason: RefusedFor;
  readonly code: StopCode;
  readonly detail: string;
}

export interface IngestOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly clock: Clock;
  /** Runs the action in the next turn of the event loop. */
  readonly nextTurn: (action: () => void) => void;
  /** Absent: those for real machines. */
  readonly limits?: WorkLimits | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly wal: Wal;
  readonly apply: Apply;
  readonly schema: Schema;
  /** Regions of the topology, present and former: only they open origins. Absent: any region may. */
  readonly regions?: readonly string[] | undefined;
  /** False while the region is partitioned, or about to be, and accepts nothing. Absent: it always accepts. */
  readonly receives?: () => boolean;
  /** Why the batch is implausible, given the known clocks and epochs; undefined if it is not. */
  readonly implausible?: (batch: Batch) => string | undefined;
  /** Called when an origin stops, or for another reason than before. */
  readonly onStopped: (stopped: Stopped) => void;
}

/** Batches of one transaction, and the findings about those it leaves out, up to the index `to`. */
interface Part extends Omit<Taken, 'events'> {
  readonly to: number;
  readonly next: readonly Batch[];
}

export function createIngest(options: IngestOptions): Ingest {
  return new PositionIngest(options);
}

class PositionIngest implements Ingest {
  private readonly options: IngestOptions;
  private readonly byOrigin = new Map<string, Stopped>();
  /** By reason: when it was logged last, and how often it was refused since. */
  private readonly logged = new Map<RefusedFor, { atMs: number; since: number }>();
  private newest: (Refused & { readonly count: number; readonly atMs: number; readonly sinceMs: number }) | undefined;
  private readonly queue = new Queue();
  private readonly declared: Declared;
  private readonly counted;
  private readonly limits: WorkLimits;
  private readonly share: TurnShare;

  constructor(options: IngestOptions) {
    this.options = options;
    this.limits = options.limits ?? workLimits;
    this.share = new TurnShare(options.nextTurn, this.limits.turn);
    this.declared = declaredBy(describeSchema(options.schema));
    const { metrics } = options;
    this.counted = metrics.counter({
      name: 'tidal_refused_batches_total',
      help: 'Messages of the stream, or batches of peers, that were not taken because of what they held, by reason.',
      labels: ['reason'],
      series: refusedFor.map((reason) => ({ reason })),
    });
    metrics.gauge({
      name: 'tidal_stopped_origins',
      help: 'Origins of which a peer holds more that cannot be taken here.',
      read: () => this.byOrigin.size,
    });
  }

  get stopped(): ReadonlyMap<string, Stopped> {
    return this.byOrigin;
  }

  get refused(): (Refused & { readonly count: number }) | undefined {
    if (this.newest === undefined || this.options.clock.monotonicMs() - this.newest.atMs >= RECENT_MS) return undefined;
    const { origin, reason, detail, count } = this.newest;
    return { origin, reason, detail, count };
  }

  take(batches: readonly Batch[], offset?: StreamOffset): Promise<Taken> {
    return this.queue.add(() => this.takeNow(batches, offset));
  }

  /** Part by part: while one is flushed, the one before is applied. */
  private async takeNow(batches: readonly Batch[], offset: StreamOffset | undefined): Promise<Taken> {
    const { wal, apply, receives } = this.options;
    const gaps: Gap[] = [];
    const doubted: Stopped[] = [];
    let events = 0;
    let from = 0;
    let applied: Promise<void> = Promise.resolve();
    try {
      do {
        await apply.room();
        if (receives?.() === false) {
          // Treated as not received: the stored offset stays before them.
          gaps.push(...batches.slice(from).map(({ origin, first }) => ({ origin, first })));
          break;
        }
        // Nothing is awaited between the checks and the append: what was checked is still true when its turn comes.
        const part = this.nextPart(batches, from);
        from = part.to;
        gaps.push(...part.gaps);
        doubted.push(...part.doubted);
        const settled = from === batches.length && gaps.length === 0 ? offset : undefined;
        const { next } = part;
        if (next.length > 0) {
          await wal.append({ batches: next, ...(settled === undefined ? {} : { offset: settled }) });
          await applied;
          applied = this.applyInTurns(next, from < batches.length);
          applied.catch(() => undefined);
          for (const { first, last } of next) events += last - first + 1;
        } else if (settled !== undefined) {
          wal.noteOffset(settled);
        }
      } while (from < batches.length);
    } finally {
      await applied;
    }
    return { events, gaps, doubted };
  }

  /** What the next transaction appends, from that batch on, and what is wrong with the others up to `to`. */
  private nextPart(batches: readonly Batch[], from: number): Part {
    const { wal, turns } = this.options;
    turns?.mark('receive');
    const next: Batch[] = [];
    const gaps: Gap[] = [];
    const doubted: Stopped[] = [];
    const ends = new Map<string, number>();
    let to = from;
    for (let work = 0; to < batches.length && work < this.limits.append; to++) {
      const batch = batches[to]!;
      const { origin, first, last } = batch;
      const durable = ends.get(origin) ?? sequenceOf(wal.durable, origin);
      if (last <= durable) continue;
      const doubt = this.intruder(batch) ?? (first > durable + 1 ? undefined : this.doubt(batch, durable, next));
      if (doubt !== undefined) {
        const detail = `the batch ${origin}:${first}-${last} ${doubt.detail}`;
        const stopped = { origin, code: doubt.code, detail };
        this.refuse({ origin, reason: doubt.reason, detail });
        if (doubt.reason === 'schema') {
          // It is the origin's next batch, whatever its source. The stream may be the only source, and is read from before it
          // once the region was upgraded.
          this.stop(stopped);
          gaps.push({ origin, first: last + 1, upTo: first });
        } else if (!isIntruder(doubt.reason)) doubted.push(stopped);
        continue;
      }
      if (first > durable + 1) {
        gaps.push({ origin, first });
        continue;
      }
      ends.set(origin, last);
      next.push(batch);
      work += workOf(batch);
    }
    return { to, next, gaps, doubted };
  }

  /** `later`: after the next part was passed to the store, which flushes it meanwhile. */
  private async applyInTurns(batches: readonly Batch[], later: boolean): Promise<void> {
    if (later) await this.share.next();
    for (const batch of batches) {
      await this.options.apply.apply([batch]);
      this.release(batch.origin);
      await this.share.use(workOf(batch));
    }
  }

  /** A batch that only a forger can have sent, whatever its sequence. */
  private intruder({ origin }: Batch): Doubt | undefined {
    if (this.options.regions?.includes(regionOf(origin)) === false) {
      return {
        reason: 'foreign',
        code: 'damaged_log',
        detail: `is of the region ${regionOf(origin)}, which the topology does not name`,
      };
    }
    // Events accepted by this process are durable here before they are shipped: no other region has more of them.
    if (this.options.wal.owns(origin)) {
      return { reason: 'own_origin', code: 'damaged_log', detail: 'extends an origin only this process extends' };
    }
    return undefined;
  }

  /** Why a batch that should be the next of its origin is refused. */
  private doubt(batch: Batch, durable: number, before: readonly Batch[]): Doubt | undefined {
    const notNext = (detail: string): Doubt => ({ reason: 'not_next', code: 'damaged_log', detail });
    if (batch.first <= durable) return notNext(`overlaps what is here up to ${durable}`);
    const earlier = before.findLast(({ origin }) => origin === batch.origin);
    const here = this.options.wal.origin(batch.origin);
    const chain = earlier === undefined ? (here?.chain ?? NO_PREDECESSOR) : earlier.hash;
    if (Buffer.compare(chain, batch.chain) !== 0) return notNext('does not chain to its predecessor here');
    const epoch = earlier?.epoch ?? here?.epoch ?? batch.epoch;
    if (epoch !== batch.epoch) return notNext(`is of epoch ${batch.epoch}, its origin of epoch ${epoch}`);
    const untrue = this.options.implausible?.(batch);
    if (untrue !== undefined) return { reason: 'implausible', code: 'implausible', detail: untrue };
    const missing = undeclaredIn(batch, this.declared);
    if (missing !== undefined) return { reason: 'schema', code: 'schema_behind', detail: missing };
    const { keysForgottenMs } = this.options.wal;
    const copy = mayBeForgotten(batch, keysForgottenMs);
    return copy && { reason: 'keys_forgotten', code: 'keys_forgotten', detail: forgottenText(copy, keysForgottenMs) };
  }

  release(origin: string): void {
    if (this.byOrigin.delete(origin)) this.options.log.info('origin resumed', { origin });
  }

  stop(stopped: Stopped): void {
    const before = this.byOrigin.get(stopped.origin);
    if (before === undefined && this.byOrigin.size >= STOPPED_LIMIT) return;
    this.byOrigin.set(stopped.origin, stopped);
    if (before?.code !== stopped.code || before.detail !== stopped.detail) this.options.onStopped(stopped);
  }

  refuse({ origin, reason, detail }: Refused): void {
    const { clock, log } = this.options;
    this.counted.inc({ reason });
    const atMs = clock.monotonicMs();
    const { newest } = this;
    const continues = newest !== undefined && atMs - newest.sinceMs < RECENT_MS;
    this.newest = {
      ...{ origin, reason, detail, atMs },
      count: continues ? newest.count + 1 : 1,
      sinceMs: continues ? newest.sinceMs : atMs,
    };
    const logged = this.logged.get(reason);
    if (logged !== undefined && atMs - logged.atMs < RECENT_MS) {
      logged.since++;
      return;
    }
    log.error('batch refused', { reason, origin, detail, unlogged_before: logged?.since ?? 0 });
    this.logged.set(reason, { atMs, since: 0 });
  }
}

/** No peer has a better one: there is nothing to fetch, and no origin to stop. */
function isIntruder(reason: RefusedFor): boolean {
  return reason === 'foreign' || reason === 'own_origin';
}
