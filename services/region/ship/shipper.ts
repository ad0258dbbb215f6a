/** Ships own origins. See `ship.ts`. */
import type { InternalKeys } from '../../../shared/credentials/internal-keys.ts';
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { MESSAGE_LIMIT_BYTES } from '../../../shared/protocol/events.ts';
import type { Durability } from '../../../shared/protocol/internal.ts';
import { regionOf, sequenceOf } from '../../../shared/protocol/position.ts';
import type { Stream, StreamMessage } from '../../../shared/stream/stream.ts';
import { DamagedBatch, decodeHeader, splitMessage, UnknownFormat } from '../batch/batch.ts';
import { Condition } from '../condition/condition.ts';
import type { Wal } from '../wal/wal.ts';
import type { Ship } from './ship.ts';

/** A stream with an answer outstanding for longer is not healthy. */
const OUTSTANDING_MS = 1_000;
/** Wait before the next try after a failure. */
const RETRY_MS = 250;

export interface ShipperOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly region: string;
  readonly wal: Wal;
  readonly stream: Stream;
  /** Absent: messages carry no MAC. */
  readonly internalKeys?: InternalKeys | undefined;
  /**
   * Lowest durable sequence of an origin over all other regions, 0 if one is unreachable: an empty subject is filled from there.
   */
  readonly startOf: (origin: string) => number;
  /** A partitioned region starts switched off. */
  readonly enabled: boolean;
  readonly metrics: Metrics;
}

/** Up to which sequence the stream is known to hold an origin. */
interface Mark {
  /** Sequence up to which the stream acknowledged; undefined: unknown, read it from the stream. */
  shipped: number | undefined;
  /** Stream sequence of the subject's last message, 0 when none is left. */
  lastMessage: number;
  /** Highest sequence the stream was ever seen to hold. Answers use it; shipping does not. */
  acknowledged: number;
  /** Monotonic ms before which the origin is not tried again, so that it does not block the others. */
  retryAtMs: number;
  /** True if the newest publish was refused because the subject's last message was another. */
  wrong: boolean;
}

export function createShipper(options: ShipperOptions): Ship {
  return new Shipper(options);
}

class Shipper implements Ship {
  private readonly options: ShipperOptions;
  private readonly shippedEvents;
  private readonly shippedBytes;
  private readonly seconds;
  private readonly wake: Condition;
  private readonly marks = new Map<string, Mark>();
  /** Own origins with an unknown mark or unshipped batches, in order of their turns. */
  private readonly waiting = new Set<string>();
  /** The same after a failure, in order of their next try; all wait equally long, so the first is due first. */
  private readonly later = new Map<string, number>();
  /** Own origins that were in the log at the start and whose mark is still unknown; undefined before the start. */
  private unread: Set<string> | undefined;
  /** The newest own origin: what writes with durability `stream` wait for. */
  private present: string | undefined;
  /** True if the newest message was the present origin's: the next turn is another origin's. */
  private othersTurn = false;
  /** True if the stream was found on this connection. */
  private ensured = false;
  private enabled: boolean;
  private stopping = false;
  private loop: Promise<void> | undefined;
  private stopListening: (() => void) | undefined;
  /** True while a publish is in flight. */
  private publishing = false;
  /** Monotonic ms since when an answer of the stream is outstanding, to a publish or to the query after a failed one. */
  private unacknowledgedSinceMs: number | undefined;

  constructor(options: ShipperOptions) {
    this.options = options;
    this.enabled = options.enabled;
    this.wake = new Condition(options.clock);
    const { metrics } = options;
    this.shippedEvents = metrics.counter({
      name: 'tidal_shipped_events_total',
      help: 'Own events the stream acknowledged.',
    });
    this.shippedBytes = metrics.counter({ name: 'tidal_shipped_bytes_total', help: 'Bytes the stream acknowledged.' });
    this.seconds = metrics.histogram({
      name: 'tidal_ship_duration_seconds',
      help: 'Time from a publish to its acknowledgement.',
    });
    metrics.gauge({
      name: 'tidal_unshipped_events',
      help: 'Own durable events the stream has not acknowledged; absent after a start until the stream was asked.',
      read: () => this.unshipped,
    });
  }

  get healthy(): boolean {
    const { stream, clock } = this.options;
    const waiting = this.unacknowledgedSinceMs === undefined ? 0 : clock.monotonicMs() - this.unacknowledgedSinceMs;
    return this.enabled && stream.connected && waiting <= OUTSTANDING_MS;
  }

  get unshipped(): number | undefined {
    if (this.unread === undefined || this.unread.size > 0) return undefined;
    let events = 0;
    for (const origins of [this.waiting, this.later.keys()]) {
      for (const origin of origins) events += Math.max(0, this.durable(origin) - this.acknowledged(origin));
    }
    return events;
  }

  start(): void {
    this.lookAtAll();
    this.unread = new Set(this.waiting);
    this.stopListening = this.options.stream.onConnection((connected) => {
      if (connected) this.tryAllAtOnce();
      else this.forget();
      this.wake.notify();
    });
    this.loop = this.run();
  }

  notify(origin?: string): void {
    if (origin === undefined) this.lookAtAll();
    else this.look(origin);
    this.wake.notify();
  }

  acknowledged(origin: string): number {
    return this.marks.get(origin)?.acknowledged ?? 0;
  }

  async confirmed(origin: string, sequence: number, limitMs: number, required: Durability): Promise<boolean> {
    const done = (): boolean => this.acknowledged(origin) >= sequence;
    await this.wake.until(() => done() || (required === 'local' && !this.healthy), limitMs);
    return done();
  }

  async setEnabled(enabled: boolean): Promise<void> {
    this.enabled = enabled;
    if (enabled) this.tryAllAtOnce();
    this.wake.notify();
    if (!enabled) await this.wake.until(() => !this.publishing, 60_000);
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.stopListening?.();
    this.wake.notify();
    await this.loop;
  }

  /** There may be another stream after a reconnect. */
  private forget(): void {
    this.ensured = false;
    for (const mark of this.marks.values()) mark.shipped = undefined;
  }

  private tryAllAtOnce(): void {
    this.later.clear();
    this.lookAtAll();
    this.othersTurn = false;
  }

  private lookAtAll(): void {
    const { wal, region } = this.options;
    for (const { origin } of wal.origins()) if (regionOf(origin) === region) this.look(origin);
  }

  /** Queues the origin if there is something to do for it. */
  private look(origin: string): void {
    if (this.isNewest(origin)) this.present = origin;
    if (this.isUnfinished(origin) && !this.later.has(origin)) this.waiting.add(origin);
  }

  private isNewest(origin: string): boolean {
    const { wal } = this.options;
    if (origin === this.present) return false;
    const info = wal.origin(origin);
    const present = this.present === undefined ? undefined : wal.origin(this.present);
    if (info === undefined || present === undefined) return info !== undefined;
    return info.epoch > present.epoch || (info.epoch === present.epoch && info.lastHlc > present.lastHlc);
  }

  private isUnfinished(origin: string): boolean {
    const shipped = this.marks.get(origin)?.shipped;
    const durable = this.durable(origin);
    return durable > 0 && (shipped === undefined || shipped < durable);
  }

  private durable(origin: string): number {
    return sequenceOf(this.options.wal.durable, origin);
  }

  /** The origin whose turn it is. */
  private next(): string | undefined {
    const now = this.options.clock.monotonicMs();
    for (const [origin, dueMs] of this.later) {
      if (dueMs > now) break;
      this.later.delete(origin);
      this.waiting.add(origin);
    }
    const present = this.present !== undefined && this.waiting.has(this.present) ? this.present : undefined;
    if (present !== undefined && !this.othersTurn) return present;
    for (const origin of this.waiting) {
      if (origin === present) continue;
      if (!this.isSafeElsewhere(origin)) return origin;
      this.waiting.delete(origin);
    }
    return present;
  }

  /**
   * An older origin that every other region reports to its end, or that was trimmed to its end because another region has it, no
   * longer needs the stream: it counts as acknowledged, without a query.
   */
  private isSafeElsewhere(origin: string): boolean {
    const { wal, startOf } = this.options;
    const mark = this.markOf(origin);
    const info = wal.origin(origin);
    if (mark.shipped !== undefined || info === undefined) return false;
    if (info.first <= info.last && startOf(origin) < info.last) return false;
    this.know(origin, mark, info.last);
    return true;
  }

  private know(origin: string, mark: Mark, shipped: number): void {
    mark.shipped = shipped;
    mark.acknowledged = Math.max(mark.acknowledged, shipped);
    this.unread?.delete(origin);
  }

  private async run(): Promise<void> {
    const { stream, clock, log } = this.options;
    const open = (): boolean => this.enabled && stream.connected;
    while (!this.stopping) {
      const limitMs = open() && this.waiting.size + this.later.size > 0 ? RETRY_MS : 60_000;
      await this.wake.until(() => this.stopping || (open() && this.next() !== undefined), limitMs);
      const origin = open() ? this.next() : undefined;
      if (this.stopping || origin === undefined) continue;
      try {
        await this.shipOnce(origin);
      } catch (error) {
        log.debug('shipping failed', { origin, error: messageOf(error) });
        this.ensured = false;
        this.markOf(origin).retryAtMs = clock.monotonicMs() + RETRY_MS;
      }
      this.endTurn(origin);
      // Waits for a confirmation, or for nothing in flight, check again, after success or failure.
      this.wake.notify();
    }
  }

  private endTurn(origin: string): void {
    const { retryAtMs } = this.markOf(origin);
    this.waiting.delete(origin);
    if (!this.isUnfinished(origin)) return;
    if (retryAtMs > this.options.clock.monotonicMs()) this.later.set(origin, retryAtMs);
    else this.waiting.add(origin);
  }

  /** Reads the mark of the origin from the stream, or publishes one message. */
  private async shipOnce(origin: string): Promise<void> {
    const mark = this.markOf(origin);
    mark.retryAtMs = 0;
    // Reading the present origin's mark is followed by its message: only that uses up its turn.
    this.othersTurn = origin === this.present && mark.shipped !== undefined;
    if (mark.shipped === undefined) await this.readMark(origin, mark);
    else await this.publish(origin, mark, mark.shipped);
  }

  private markOf(origin: string): Mark {
    let mark = this.marks.get(origin);
    if (mark === undefined) {
      mark = { shipped: undefined, lastMessage: 0, acknowledged: 0, retryAtMs: 0, wrong: false };
      this.marks.set(origin, mark);
    }
    return mark;
  }

  private async readMark(origin: string, mark: Mark): Promise<void> {
    const { stream, clock, startOf, log } = this.options;
    this.unacknowledgedSinceMs ??= clock.monotonicMs();
    if (!this.ensured) await stream.ensure();
    this.ensured = true;
    const last = await stream.lastOf(origin);
    this.unacknowledgedSinceMs = undefined;
    if (last === undefined) {
      mark.lastMessage = 0;
      this.know(origin, mark, startOf(origin));
    } else {
      mark.lastMessage = last.sequence;
      this.know(origin, mark, this.lastOwnOf(last) ?? startOf(origin));
    }
    log.debug('shipped mark read', { origin, shipped: mark.shipped, last_message: mark.lastMessage });
  }

  /**
   * The shipped sequence by the subject's last message; undefined if that is not one of this log's: every client can publish
   * there. Such a message only gives the expected stream sequence.
   */
  private lastOwnOf({ origin, bytes, mac }: StreamMessage): number | undefined {
    // The other regions refuse it: it has to be shipped again.
    if (this.options.internalKeys?.macFlaw(this.options.region, bytes, mac) !== undefined) return undefined;
    try {
      const last = splitMessage(bytes).at(-1);
      if (last === undefined) return undefined;
      const header = decodeHeader(last);
      const [own] = header.origin === origin ? this.options.wal.read(origin, header.first, 1) : [];
      return own !== undefined && Buffer.compare(own, last) === 0 ? header.last : undefined;
    } catch (error) {
      if (error instanceof DamagedBatch || error instanceof UnknownFormat) return undefined;
      throw error;
    }
  }

  /**
   * The log begins later: trimmed batches are on another region's disk too (`checkpoint/checkpoint.ts`), so they no longer need
   * the stream, and regions that lack them fetch them by position. A mark that never advanced would block everything after it.
   */
  private skipTrimmed(origin: string, mark: Mark, shipped: number): void {
    const { wal, log } = this.options;
    const first = wal.origin(origin)?.first ?? 1;
    if (first <= shipped + 1) throw new Fault('damaged_log', `the log lacks ${origin}:${shipped + 1}`);
    log.info('shipping resumed after the trimmed range', { origin, from: first });
    this.know(origin, mark, first - 1);
  }

  private async publish(origin: string, mark: Mark, shipped: number): Promise<void> {
    const { wal, stream, clock, log, region, internalKeys } = this.options;
    const limitBytes = Math.min(MESSAGE_LIMIT_BYTES, stream.messageLimitBytes);
    const batches = wal.read(origin, shipped + 1, limitBytes);
    const last = batches[batches.length - 1];
    if (last === undefined) return this.skipTrimmed(origin, mark, shipped);
    const bytes = Buffer.concat(batches);
    const startMs = clock.monotonicMs();
    this.publishing = true;
    this.unacknowledgedSinceMs ??= startMs;
    // Unknown until the acknowledgement: whatever happens in between, the stream is queried.
    mark.shipped = undefined;
    try {
      const mac = internalKeys?.macOf(region, bytes);
      const result = await stream.publish(origin, bytes, mark.lastMessage, mac);
      if ('failure' in result) {
        if (result.failure !== 'wrong_last')
          log.warn('stream acknowledgement timed out', { origin, detail: result.detail });
        this.ensured = false;
        // A wrong mark is read again at once, but only once: the second time in a row another client is publishing there.
        if (result.failure !== 'wrong_last' || mark.wrong) mark.retryAtMs = clock.monotonicMs() + RETRY_MS;
        mark.wrong = result.failure === 'wrong_last';
        if (mark.wrong) this.unacknowledgedSinceMs = undefined;
        return;
      }
      this.unacknowledgedSinceMs = undefined;
      mark.shipped = decodeHeader(last).last;
      mark.acknowledged = mark.shipped;
      mark.wrong = false;
      mark.lastMessage = result.sequence;
      this.shippedEvents.inc(mark.shipped - shipped);
      this.shippedBytes.inc(bytes.length);
      this.seconds.observe((clock.monotonicMs() - startMs) / 1_000);
    } finally {
      this.publishing = false;
    }
  }
}
