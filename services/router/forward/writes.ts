/**
 * Forwards writes to the leader (docs/architecture.md, section 3).
 *
 * Single writes that wait at the same time are sent together in one internal request; bulks, and writes with durability `stream`,
 * are sent separately, so that neither a bulk nor a stalled confirmation delays the others. Each write gets its own answer.
 *
 * A refusal because of the *region* that was asked (`not_leader`, `handing_over`, `stale_epoch`, `not_ready`, `shutting_down`, or
 * no connection) means that nothing was accepted. It holds the writes: they wait here, bounded in number and time, and are sent
 * again when the leadership record changes, or as a probe four times a second.
 *
 * Invariants: a write is sent again only after such a refusal, never after a time-out or a broken connection (504
 * `outcome_unknown`), with an idempotency key or without: with one, the client may do so; every write is answered within `heldMs`
 * plus the time limit of one internal request. What a crash leaves: nothing of its own; the outcome is unknown to clients without
 * an answer.
 */
import { Fault, messageOf, type ProblemCode, Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Leadership } from '../../../shared/leadership/leadership.ts';
import type { Log } from '../../../shared/observe/log.ts';
import { type Metrics, sizeBuckets } from '../../../shared/observe/metrics.ts';
import {
  isRefused,
  WRITES_LIMIT,
  WRITES_LIMIT_BYTES,
  type WriteAccepted,
  type WriteRefused,
  type WritesReply,
} from '../../../shared/protocol/internal.ts';
import { wasNotSent } from '../../../shared/region-client/region-client.ts';
import type { LeadershipView } from '../cluster/cluster.ts';
import type { RegionLink, RegionLinks } from '../links/links.ts';
import type { Submission, WriteForwarding } from './forward.ts';

/** Maximum of internal requests in flight to one region. */
const inFlightLimits = { single: 4, stream: 2, bulk: 2 } as const;
type LaneName = keyof typeof inFlightLimits;

const outcomes = ['answered', 'refused', 'held', 'unknown'] as const;
const WAITING_LIMIT = 8_192;
const WAITING_LIMIT_BYTES = 64 * 1024 * 1024;
const LOOK_EVERY_MS = 50;
const PROBE_EVERY_MS = 250;

/** Refusals after which a retry, or another region, may succeed, and which mean that nothing was accepted. */
const held = new Set<ProblemCode>([
  'not_leader',
  'handing_over',
  'stale_epoch',
  'not_ready',
  'shutting_down',
  'configuration_refused',
]);

interface QueuedSubmission {
  readonly submission: Submission;
  readonly deadlineMs: number;
  readonly resolve: (accepted: WriteAccepted) => void;
  readonly reject: (refusal: Refusal) => void;
}

interface Lane {
  readonly name: LaneName;
  queue: QueuedSubmission[];
  /** Internal requests in flight, by region: those to an unresponsive leader must not delay its successor's. */
  readonly inFlight: Map<string, number>;
}

/** Why nothing is sent at present. */
interface Block {
  readonly code: ProblemCode;
  readonly detail: string;
  /** The record it happened under. */
  readonly nonce: string | undefined;
  readonly probeMs: number;
}

export interface WriteForwarderOptions {
  readonly leadership: LeadershipView;
  readonly links: RegionLinks;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Requests held while no leader accepts writes. */
  readonly heldLimit: number;
  /** How long a request may wait here. */
  readonly heldMs: number;
}

export class WriteForwarder implements WriteForwarding {
  private readonly options: WriteForwarderOptions;
  private readonly lanes: Readonly<Record<LaneName, Lane>> = {
    single: { name: 'single', queue: [], inFlight: new Map() },
    stream: { name: 'stream', queue: [], inFlight: new Map() },
    bulk: { name: 'bulk', queue: [], inFlight: new Map() },
  };
  private readonly requests;
  private readonly durations;
  private readonly groups;
  private waiting = 0;
  private waitingBytes = 0;
  private block: Block | undefined;
  private looking = false;
  private stopped = false;
  private readonly forget: () => void;

  constructor(options: WriteForwarderOptions) {
    this.options = options;
    const { metrics, leadership } = options;
    this.requests = metrics.counter({
      name: 'tidal_router_forward_requests_total',
      help: 'Internal write requests, by lane and outcome: answered, refused, held or unknown.',
      labels: ['lane', 'outcome'],
      series: Object.keys(this.lanes).flatMap((lane) => outcomes.map((outcome) => ({ lane, outcome }))),
    });
    this.durations = metrics.histogram({
      name: 'tidal_router_forward_duration_seconds',
      help: 'Time of one internal write request, by lane.',
      labels: ['lane'],
    });
    this.groups = metrics.histogram({
      name: 'tidal_router_forward_group_writes',
      help: 'Writes that travelled together in one internal request.',
      labels: ['lane'],
      buckets: sizeBuckets,
    });
    metrics.gauge({
      name: 'tidal_router_waiting_writes',
      help: 'Write requests waiting to be sent to the leader.',
      read: () => this.waiting,
    });
    metrics.gauge({
      name: 'tidal_router_waiting_bytes',
      help: 'Size of the write requests waiting to be sent to the leader.',
      read: () => this.waitingBytes,
    });
    metrics.gauge({
      name: 'tidal_router_held_writes',
      help: 'Write requests held because no leader takes writes.',
      read: () => (this.block === undefined ? 0 : this.waiting),
    });
    this.forget = leadership.onChange(() => this.onLeadership());
  }

  submit(submission: Submission): Promise<WriteAccepted> {
    const refusal = this.admit(submission);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const lane = this.laneOf(submission);
      const deadlineMs = this.options.clock.monotonicMs() + this.options.heldMs;
      lane.queue.push({ submission, deadlineMs, resolve, reject });
      this.count(submission, 1);
      this.send(lane);
      this.look();
    });
  }

  /** Refuses everything that waits; requests in flight are still answered. */
  stop(): void {
    this.stopped = true;
    this.forget();
    this.dropWhere(
      () => true,
      () => new Refusal('shutting_down', 'this router is shutting down; the write was not accepted'),
    );
  }

  private admit({ bytes }: Submission): Refusal | undefined {
    if (this.stopped) return new Refusal('shutting_down', 'this router is shutting down');
    if (this.block !== undefined && this.waiting >= this.options.heldLimit) return this.given(this.block);
    if (this.waiting >= WAITING_LIMIT || this.waitingBytes + bytes > WAITING_LIMIT_BYTES) {
      return new Refusal('overloaded', `${this.waiting} write requests are already waiting for the leader`);
    }
    return undefined;
  }

  /** The answer to a client when the wait is over or cannot begin. */
  private given({ code, detail }: Block): Refusal {
    return new Refusal(code === 'stale_epoch' ? 'no_leader' : code, `no leader accepts writes: ${detail}`, {
      hint: 'the write was not accepted; try again',
    });
  }

  private laneOf({ atomic, durability }: Submission): Lane {
    return this.lanes[atomic ? 'bulk' : durability === 'stream' ? 'stream' : 'single'];
  }

  private count({ bytes }: Submission, sign: 1 | -1): void {
    this.waiting += sign;
    this.waitingBytes += sign * bytes;
  }

  /** Starts as many internal requests of the lane as may be in flight. */
  private send(lane: Lane): void {
    while (this.block === undefined && lane.queue.length > 0) {
      const record = this.options.leadership.current;
      if (record !== undefined && (lane.inFlight.get(record.leader) ?? 0) >= inFlightLimits[lane.name]) return;
      const link = record === undefined ? undefined : this.options.links.get(record.leader);
      if (record === undefined || link === undefined) {
        this.hold('no_leader', record === undefined ? 'none is known yet' : `${record.leader} is not in the topology`);
        return;
      }
      void this.travel(lane, this.take(lane), record, link);
    }
  }

  private take(lane: Lane): QueuedSubmission[] {
    let count = 0;
    let bytes = 0;
    for (const { submission } of lane.queue) {
      const full = count >= WRITES_LIMIT || bytes + submission.bytes > WRITES_LIMIT_BYTES;
      if (count > 0 && (full || lane.name === 'bulk')) break;
      count += 1;
      bytes += submission.bytes;
    }
    const group = lane.queue.splice(0, count);
    for (const { submission } of group) this.count(submission, -1);
    return group;
  }

  private async travel(lane: Lane, group: QueuedSubmission[], record: Leadership, link: RegionLink): Promise<void> {
    const { clock } = this.options;
    const startMs = clock.monotonicMs();
    const writes = group.flatMap(({ submission }) => submission.writes);
    // A bulk is sent alone.
    const signals = group[0]?.submission.signals;
    countInFlight(lane, record.leader, 1);
    let outcome: (typeof outcomes)[number];
    try {
      const request = {
        epoch: record.epoch,
        atomic: lane.name === 'bulk',
        ...(group[0]?.submission.durability === 'stream' ? { durability: 'stream' as const } : {}),
        writes,
        ...(group.some(({ submission }) => submission.keyed === true)
          ? { clients: group.map(({ submission }) => submission.client ?? '') }
          : {}),
        ...(signals === undefined ? {} : { signals: signals.packed }),
      };
      const reply = await link.writes(request, group[0]?.submission.requestId ?? '');
      outcome = this.answer(group, reply, record);
    } catch (error) {
      outcome = this.fail(group, error, record);
    }
    countInFlight(lane, record.leader, -1);
    this.requests.inc({ lane: lane.name, outcome });
    this.groups.observe({ lane: lane.name }, signals?.count ?? writes.length);
    this.durations.observe({ lane: lane.name }, (clock.monotonicMs() - startMs) / 1_000);
    this.send(lane);
    this.look();
  }

  private answer(
    group: readonly QueuedSubmission[],
    reply: WritesReply,
    record: Leadership,
  ): 'answered' | 'held' | 'unknown' {
    const results = (reply as Partial<WritesReply> | undefined)?.results;
    if (!Array.isArray(results) || results.length !== group.length) {
      this.options.log.error('region answered a write request with the wrong number of results', {
        leader: record.leader,
        writes: group.length,
      });
      for (const waiting of group) {
        waiting.reject(unknownOutcome(`${record.leader} gave no readable answer`, waiting.submission));
      }
      return 'unknown';
    }
    const again: QueuedSubmission[] = [];
    let reason: Refusal | undefined;
    for (const [index, waiting] of group.entries()) {
      const result = results[index] as WriteAccepted | WriteRefused;
      if (!isRefused(result)) {
        const { position, durability, replayed } = result;
        waiting.resolve({ position, durability, ...(replayed === true ? { replayed } : {}) });
        continue;
      }
      const refusal = Refusal.fromProblem(result.problem);
      if (refusal === undefined) {
        waiting.reject(unknownOutcome(`${record.leader} answered with an unknown code`, waiting.submission));
      } else if (held.has(refusal.code)) {
        reason = refusal;
        again.push(waiting);
      } else
        waiting.reject(labelled(asAnswered(refusal, record, waiting.submission), waiting.submission, result.index));
    }
    if (reason === undefined) return 'answered';
    this.putBack(again, reason.code, reason.message, record);
    return 'held';
  }

  private fail(group: readonly QueuedSubmission[], error: unknown, record: Leadership): 'refused' | 'held' | 'unknown' {
    if (error instanceof Refusal) {
      if (held.has(error.code)) {
        this.putBack(group, error.code, error.message, record);
        return 'held';
      }
      for (const waiting of group) waiting.reject(asAnswered(error, record, waiting.submission));
      return 'refused';
    }
    if (wasNotSent(error)) {
      this.putBack(group, 'no_leader', messageOf(error), record);
      return 'held';
    }
    if (!(error instanceof Fault)) this.options.log.error('write request failed', { error });
    for (const waiting of group) waiting.reject(unknownOutcome(messageOf(error), waiting.submission));
    return 'unknown';
  }

  /** Back to the front of the queue, in order; only after a refusal that means that nothing was accepted. */
  private putBack(group: readonly QueuedSubmission[], code: ProblemCode, detail: string, record: Leadership): void {
    for (const { submission } of group) this.count(submission, 1);
    const lane = this.laneOf((group[0] as QueuedSubmission).submission);
    lane.queue = [...group, ...lane.queue];
    // A newer record may have been read while the request was in flight: then another region is asked at once.
    if (this.options.leadership.current?.nonce === record.nonce) this.hold(code, detail);
    // Unless it is known that it does not accept writes either.
    else if (this.block !== undefined) this.refuseNewest(this.waiting - this.options.heldLimit, this.block);
    if (this.stopped) this.stop();
  }

  private refuseNewest(count: number, block: Block): void {
    let left = count;
    for (const lane of Object.values(this.lanes)) {
      while (left > 0 && lane.queue.length > 0) {
        const waiting = lane.queue.pop() as QueuedSubmission;
        this.count(waiting.submission, -1);
        waiting.reject(this.given(block));
        left -= 1;
      }
    }
  }

  private hold(code: ProblemCode, detail: string): void {
    const { leadership, clock, log } = this.options;
    if (this.block === undefined) log.debug('writes held', { code, detail });
    const nonce = leadership.current?.nonce;
    this.block = { code, detail, nonce, probeMs: clock.monotonicMs() + PROBE_EVERY_MS };
    this.refuseNewest(this.waiting - this.options.heldLimit, this.block);
    void leadership.refresh();
    this.look();
  }

  private onLeadership(): void {
    if (this.block !== undefined && this.block.nonce === this.options.leadership.current?.nonce) return;
    // Also without a block: writes that wait behind requests to an unresponsive leader are sent to its successor now.
    this.release();
  }

  private release(): void {
    this.block = undefined;
    for (const lane of Object.values(this.lanes)) this.send(lane);
  }

  /** While anything waits: ends expired waits, and checks whether a leader accepts writes again. */
  private look(): void {
    if (this.looking || this.waiting === 0) return;
    this.looking = true;
    this.options.clock.after(LOOK_EVERY_MS, () => {
      this.looking = false;
      const nowMs = this.options.clock.monotonicMs();
      const ended = this.block ?? { code: 'no_leader', detail: 'the leader did not get to it in time' };
      this.dropWhere(
        ({ deadlineMs }) => deadlineMs <= nowMs,
        () => this.given(ended as Block),
      );
      if (this.block !== undefined) {
        if (nowMs >= this.block.probeMs) this.release();
        else void this.options.leadership.refresh();
      }
      this.look();
    });
  }

  private dropWhere(over: (waiting: QueuedSubmission) => boolean, refusal: () => Refusal): void {
    for (const lane of Object.values(this.lanes)) {
      if (!lane.queue.some(over)) continue;
      const dropped = lane.queue.filter(over);
      lane.queue = lane.queue.filter((waiting) => !over(waiting));
      for (const waiting of dropped) {
        this.count(waiting.submission, -1);
        waiting.reject(refusal());
      }
    }
  }
}

function countInFlight(lane: Lane, region: string, by: 1 | -1): void {
  lane.inFlight.set(region, (lane.inFlight.get(region) ?? 0) + by);
}

function unknownOutcome(detail: string, { keyed }: Submission): Refusal {
  return new Refusal('outcome_unknown', `the write may or may not have been accepted: ${detail}`, {
    hint:
      keyed === true
        ? 'send it again with the same Idempotency-Key: it counts once'
        : 'read the item to find out before sending it again',
  });
}

/** A region's internal error may have occurred after the write was accepted. */
function asAnswered(refusal: Refusal, record: Leadership, submission: Submission): Refusal {
  return refusal.code === 'internal' ? unknownOutcome(`${record.leader} made a mistake`, submission) : refusal;
}

function labelled(refusal: Refusal, { label }: Submission, index: number | undefined): Refusal {
  if (label === undefined || index === undefined) return refusal;
  const where = label(index);
  const errors = refusal.extras.errors ?? [{ path: '', message: refusal.message }];
  return new Refusal(refusal.code, `${where}: ${refusal.message}`, {
    ...refusal.extras,
    errors: errors.map(({ path, message }) => ({ path: path === '' ? where : `${where}: ${path}`, message })),
  });
}
