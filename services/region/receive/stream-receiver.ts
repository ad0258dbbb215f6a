/**
 * The stream's receiver: one plain ephemeral consumer a subscription, and a new subscription whenever anything is doubtful.
 *
 *     unsubscribed ──connected, not partitioned──► checking the fingerprint ──► subscribed ──disconnect, consumer or stream gone,
 *         ▲                                                                   heartbeats missed, no progress for 2 s──┐
 *         └───────────────────────────────────────────────────────────────────────────────────────────────────────────┘
 *
 * The start is decided anew each time. The stored offset is used only if the stream is the same (`created`), the offset is within
 * it, and the message there is the batch that was applied; otherwise the subscription starts at the stream's first message. Known
 * batches are skipped by position, so an early start only costs time.
 *
 * Batches skipped because of a gap are read again, from the stored offset before them, once the gap is filled: the stream may be
 * the only source that still has them.
 */
import type { InternalKeys } from '../../../shared/credentials/internal-keys.ts';
import { clip, Fault, messageOf } from '../../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { originPattern, regionOf } from '../../../shared/protocol/position.ts';
import type { Stream, StreamInfo, StreamMessage, Subscription } from '../../../shared/stream/stream.ts';
import {
  type Batch,
  type BatchHeader,
  DamagedBatch,
  decodeBatchUnder,
  decodeHeader,
  splitMessage,
  UnknownFormat,
} from '../batch/batch.ts';
import { Condition } from '../condition/condition.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';
import { TurnShare, type WorkLimits, workLimits, workOf } from '../turn-share/turn-share.ts';
import type { StreamOffset, Wal } from '../wal/wal.ts';
import { MessageGroups, type ReceivedMessage } from './message-groups.ts';
import type { Gap, Ingest, Receiver } from './receive.ts';

/** If the stream is ahead and nothing is received for this long, the consumer is no longer trusted. */
const STALL_MS = 2_000;
/** Wait between two attempts to subscribe. */
const RETRY_MS = 250;
/** Wait before the next attempt on a full disk, until an operator has freed space. */
const FULL_DISK_MS = 5_000;
/** Limit of origins with a gap before which the stored offset stays. Gaps of further ones are filled by peers. */
const HOLES_LIMIT = 1_000;

export interface StreamReceiverOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly clock: Clock;
  /** Runs the action in the next turn of the event loop. */
  readonly nextTurn: (action: () => void) => void;
  /** Absent: those for real machines. */
  readonly limits?: WorkLimits | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly stream: Stream;
  readonly wal: Wal;
  readonly ingest: Ingest;
  /** Absent: messages carry no MAC, and none is demanded. */
  readonly internalKeys?: InternalKeys | undefined;
  /** Regions of the topology, present and former; absent: any. */
  readonly regions?: readonly string[] | undefined;
  /** Called when a gap was found, so that repair looks for the missing batches. */
  readonly onGap: (gap: Gap) => void;
  /** The store failed: the process must end. */
  readonly onFatal: (error: unknown) => void;
  /** A partitioned region starts switched off. */
  readonly enabled: boolean;
}

export function createStreamReceiver(options: StreamReceiverOptions): Receiver {
  return new StreamReceiver(options);
}

/** A message as far as it is not here yet, and its last batch. */
interface Read {
  readonly batches: readonly Batch[];
  readonly last: BatchHeader;
}

/** The offset from which an origin has to be read again, and the first sequence of its last skipped batch. */
interface PassedOver {
  readonly first: number;
  readonly upTo: number;
}

class StreamReceiver implements Receiver {
  private readonly options: StreamReceiverOptions;
  private readonly subscriptions;
  private readonly wake: Condition;
  private readonly share: TurnShare;
  private enabled: boolean;
  private stopping = false;
  private loop: Promise<void> | undefined;
  private stopListening: (() => void) | undefined;
  private readonly stopped = new AbortController();
  private diskFull = false;
  /** Ends the present subscription; undefined while not subscribed. */
  private endSubscription: ((reason: string) => void) | undefined;
  private subscribed = false;
  private created = '';
  /** The newest offset that may not be stored yet because of a gap before it. */
  private held: StreamOffset | undefined;
  /** By origin: the batches that were skipped since the subscription began. */
  private readonly passedOver = new Map<string, PassedOver>();
  delivered = 0;

  constructor(options: StreamReceiverOptions) {
    this.options = options;
    this.enabled = options.enabled;
    this.wake = new Condition(options.clock);
    this.share = new TurnShare(options.nextTurn, (options.limits ?? workLimits).turn);
    const { metrics, stream } = options;
    this.subscriptions = metrics.counter({
      name: 'tidal_stream_subscriptions_total',
      help: 'Subscriptions to the stream since the start.',
    });
    metrics.gauge({
      name: 'tidal_stream_connected',
      help: '1 while the connection to NATS stands.',
      read: () => stream.connected,
    });
  }

  start(): void {
    this.stopListening = this.options.stream.onConnection(() => this.wake.notify());
    this.loop = this.run();
  }

  async setEnabled(enabled: boolean): Promise<void> {
    this.enabled = enabled;
    if (!enabled) this.endSubscription?.('partitioned');
    this.wake.notify();
    // Switched on again meanwhile: the last switch counts, and there may be no time without a subscription to wait for.
    if (!enabled) await this.wake.until(() => !this.subscribed || this.enabled, 60_000);
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.stopped.abort();
    this.stopListening?.();
    this.endSubscription?.('stopping');
    this.wake.notify();
    await this.loop;
  }

  private maySubscribe(): boolean {
    return this.enabled && this.options.stream.connected;
  }

  private async run(): Promise<void> {
    const { clock, log } = this.options;
    while (!this.stopping) {
      if (!(await this.wake.until(() => this.stopping || this.maySubscribe(), 1_000)) || this.stopping) continue;
      this.subscribed = true;
      try {
        const reason = await this.subscribeOnce();
        log.debug('stream subscription ended', { reason });
      } catch (error) {
        log.debug('stream subscription failed', { error: messageOf(error) });
        if (error instanceof Fault && error.code === 'stream_missing') await this.ensureStream();
      }
      this.subscribed = false;
      this.wake.notify();
      await sleep(clock, this.diskFull ? FULL_DISK_MS : RETRY_MS, this.stopped.signal);
      this.diskFull = false;
    }
  }

  /** A deleted stream is recreated by the first region that notices; its contents are in the regions' logs. */
  private async ensureStream(): Promise<void> {
    const { stream, log } = this.options;
    try {
      await stream.ensure();
      log.info('stream created');
    } catch (error) {
      log.debug('stream not created', { error: messageOf(error) });
    }
  }

  /** One subscription, from the check to its end; returns why it ended. */
  private async subscribeOnce(): Promise<string> {
    const { stream, log } = this.options;
    const info = await stream.info();
    const from = await this.startingPoint(info);
    this.created = info.created;
    this.passedOver.clear();
    this.held = undefined;
    this.delivered = from - 1;
    let ended: ((reason: string) => void) | undefined;
    const end = new Promise<string>((resolve) => {
      ended = resolve;
    });
    this.endSubscription = ended;
    let subscription: Subscription | undefined;
    const groups = new MessageGroups((group) => this.handle(group));
    const over = new AbortController();
    try {
      subscription = await stream.subscribe({
        from,
        onMessage: (message) => this.onMessage(groups, message),
        onSubscriptionEnd: (reason, detail) => ended?.(detail === '' ? reason : `${reason}: ${detail}`),
      });
      log.info('subscribed to the stream', { from, last: info.last });
      this.subscriptions.inc();
      if (!this.enabled || this.stopping) return 'switched off';
      return await Promise.race([end, this.watchProgress(groups, over.signal)]);
    } finally {
      this.endSubscription = undefined;
      over.abort();
      await subscription?.close();
      await groups.idle();
      // It belongs to the stream of this subscription; the next one may be another.
      this.delivered = 0;
      await this.flushOffset();
    }
  }

  /** Resolves when the stream is ahead and nothing was handled for {@link STALL_MS}. */
  private async watchProgress(groups: MessageGroups, over: AbortSignal): Promise<string> {
    const { clock, stream } = this.options;
    let before = -1;
    while (!over.aborted) {
      await sleep(clock, STALL_MS, over);
      if (over.aborted) break;
      this.closeGaps();
      if ([...this.passedOver].some(([origin, { first }]) => this.durable(origin) + 1 >= first)) {
        return 'a hole was filled';
      }
      await this.flushOffset();
      const info = await stream.info().catch(() => undefined);
      if (info === undefined) continue;
      if (info.created !== this.created) return 'stream re-created';
      if (info.last < this.delivered) return 'stream went back';
      if (info.last > this.delivered && this.delivered === before && !groups.busy) return 'no progress';
      before = this.delivered;
    }
    return 'ended';
  }

  /** The offset is a hint: if a full disk does not store it, the next start only reads more. */
  private async flushOffset(): Promise<void> {
    const { wal, log, onFatal } = this.options;
    try {
      await wal.flushNotes();
    } catch (error) {
      if (isStorageFull(error)) log.warn('stream offset not stored', { error: messageOf(error) });
      else onFatal(error);
    }
  }

  private async startingPoint(info: StreamInfo): Promise<number> {
    const { wal, stream, log } = this.options;
    const offset = wal.offset;
    if (offset === undefined) return info.first;
    const doubt = async (): Promise<string | undefined> => {
      if (offset.created !== info.created) return 'another stream';
      if (offset.sequence > info.last) return 'offset beyond the end';
      if (offset.sequence < info.first) return 'offset before the first message';
      const message = await stream.message(offset.sequence);
      if (message === undefined) return 'no message at the offset';
      if (message.origin !== offset.origin || lastOf(message) !== offset.last) return 'another batch at the offset';
      return undefined;
    };
    const reason = await doubt();
    if (reason === undefined) return offset.sequence + 1;
    log.warn('stored stream offset rejected, reading the stream from its start', {
      reason,
      offset: offset.sequence,
      first: info.first,
    });
    return info.first;
  }

  private async onMessage(groups: MessageGroups, message: StreamMessage): Promise<void> {
    this.options.turns?.mark('receive');
    const { sequence } = message;
    let read: Read | undefined;
    try {
      read = await this.decode(message);
    } catch (error) {
      if (!(error instanceof UnknownFormat || error instanceof DamagedBatch)) throw error;
      // What to do about it depends on the position after the messages before it.
      await groups.idle();
      this.refuse(message, error);
    }
    const offset = read && { sequence, origin: read.last.origin, last: read.last.last, created: this.created };
    await groups.add({ sequence, batches: read?.batches ?? [], offset });
  }

  private async handle(group: readonly ReceivedMessage[]): Promise<void> {
    const offset = group.findLast((message) => message.offset !== undefined)?.offset;
    if (offset !== undefined) {
      this.closeGaps();
      const batches = group.flatMap((message) => message.batches);
      const { gaps, doubted } = await this.options.ingest
        .take(batches, this.passedOver.size === 0 ? offset : undefined)
        .catch((error: unknown) => this.failed(error));
      for (const { origin } of doubted) this.askPeers(origin);
      for (const gap of gaps) this.passOver(gap);
      this.held = this.passedOver.size === 0 ? undefined : offset;
    }
    this.delivered = group.at(-1)!.sequence;
  }

  private failed(error: unknown): never {
    if (isStorageFull(error)) this.diskFull = true;
    else this.options.onFatal(error);
    this.endSubscription?.(messageOf(error));
    throw error;
  }

  /** The stored offset stays before a gap: the stream may be the only source of the missing batches, or of those behind. */
  private passOver(gap: Gap): void {
    const { origin, first, upTo = first } = gap;
    const before = this.passedOver.get(origin);
    if (before !== undefined || this.passedOver.size < HOLES_LIMIT) {
      this.passedOver.set(origin, { first: before?.first ?? first, upTo });
    }
    this.options.onGap(gap);
  }

  /** The stream's batch of the origin is invalid: a peer may hold the right one. */
  private askPeers(origin: string): void {
    this.options.onGap({ origin, first: this.durable(origin) + 1 });
  }

  private durable(origin: string): number {
    return this.options.wal.durable.get(origin) ?? 0;
  }

  /** Forgets gaps that the position covers now. Without any, the newest handled offset may be stored. */
  private closeGaps(): void {
    if (this.passedOver.size === 0) return;
    for (const [origin, { upTo }] of this.passedOver) if (this.durable(origin) >= upTo) this.passedOver.delete(origin);
    if (this.passedOver.size > 0 || this.held === undefined) return;
    this.options.wal.noteOffset(this.held);
    this.held = undefined;
  }

  /**
   * The batches of the message that are not here yet, and its last batch; undefined if it is of no region. A region receives all
   * its own batches again, so the events of known batches are not decoded. Throws if it is unreadable.
   */
  private async decode(message: StreamMessage): Promise<Read | undefined> {
    const { origin, sequence, bytes } = message;
    const { ingest, regions, wal } = this.options;
    if (!originPattern.test(origin) || regions?.includes(regionOf(origin)) === false) {
      const detail = `message ${sequence} is of no region of the topology`;
      ingest.refuse({ origin: clip(origin), reason: 'foreign', detail });
      return undefined;
    }
    const parts = splitMessage(bytes);
    const headers = parts.map(decodeHeader);
    for (const header of headers) {
      if (header.origin !== origin)
        throw new DamagedBatch(`a batch of ${header.origin} under the subject of ${origin}`);
    }
    const durable = this.durable(origin);
    if (headers.some(({ last }) => last > durable)) {
      const forged = this.forgeryIn(message);
      if (forged !== undefined) throw new DamagedBatch(forged);
    }
    const batches: Batch[] = [];
    for (const [index, part] of parts.entries()) {
      if (headers[index]!.last <= durable) continue;
      this.options.turns?.mark('receive');
      const batch = decodeBatchUnder(wal.quarantine, part);
      batches.push(batch);
      await this.share.use(workOf(batch));
    }
    const last = headers.at(-1);
    return last && { batches, last };
  }

  /**
   * An unreadable message is skipped: peers hold its batches. The offset does not stay before it, because reading the message
   * again would not help, unless it is of a later version.
   */
  private refuse(message: StreamMessage, error: UnknownFormat | DamagedBatch): void {
    const { origin, sequence } = message;
    const forged = this.forgeryIn(message);
    const later = forged === undefined && error instanceof UnknownFormat;
    const reason = forged !== undefined ? 'forged' : later ? 'later_version' : 'damaged';
    this.options.ingest.refuse({ origin, reason, detail: `message ${sequence}: ${forged ?? error.message}` });
    const next = this.durable(origin) + 1;
    if (later) this.passOver({ origin, first: next + 1, upTo: next });
    else this.askPeers(origin);
  }

  /** Why no region of this cluster can have published the message; undefined if one has. */
  private forgeryIn({ origin, bytes, mac }: StreamMessage): string | undefined {
    return this.options.internalKeys?.macFlaw(regionOf(origin), bytes, mac);
  }
}

/** The last sequence in a message; undefined if it is unreadable. */
function lastOf(message: StreamMessage): number | undefined {
  try {
    const batches = splitMessage(message.bytes);
    return decodeHeader(batches[batches.length - 1]!).last;
  } catch {
    return undefined;
  }
}
