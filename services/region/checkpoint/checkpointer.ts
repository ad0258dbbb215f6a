/**
 * Checkpoint runs over the ledger's shards, when due. See `checkpoint.ts`.
 *
 * Order of effects: remember the applied position → each changed shard: encode it and take the applied position in one
 * synchronous step, store, flush → store the remembered position as the checkpoint position → only then use it, here and for
 * trimming. What is applied is durable, so no shard is ever ahead of the log.
 *
 * After each shard it pauses for as long as encoding and flush took: the event loop and the store's one writer are free for
 * writes at least half of the time.
 *
 * In between it has the ledger give back the bucket memory of pairs that went quiet.
 */
import { messageOf } from '../../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { type Position, totalOf } from '../../../shared/protocol/position.ts';
import { type Ledger, SHARDS } from '../state/ledger/ledger.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';
import type { Wal } from '../wal/wal.ts';
import { type Checkpoint, type CheckpointPosition, checkpointMark, packShard } from './checkpoint.ts';

/** Interval of checks whether a run is due, ms. */
const LOOK_MS = 1_000;
/** Wait before the next try after a run was abandoned, ms. */
const RETRY_MS = 30_000;
/** Pairs without an event for this long release their bucket memory; some pairs are checked each time. */
const QUIET_MS = 2 * 3_600_000;
const PACK_PAIRS = 20_000;
/** With many pairs a run waits for up to this many times as many events. */
const MANY = 4;
/** Pairs sorted at once: a few milliseconds. */
const PREPARE_PAIRS = 50_000;

export interface CheckpointerOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly wal: Pick<Wal, 'storeShard' | 'storeMark'>;
  readonly ledger: Pick<Ledger, 'changed' | 'pass' | 'pack' | 'pairs'>;
  /** What the ledger contains. */
  readonly applied: () => Position;
  /** The recovered checkpoint position; empty if recovery could not use every stored shard. */
  readonly checkpointPosition: CheckpointPosition;
  /**
   * A run is due after this many events, and after this long if there was any. Its cost is proportional to the pairs: with more
   * pairs than this it waits for as many events, up to {@link MANY} times the limit, so that its share of the cost of an event
   * does not grow with the ledger.
   */
  readonly eventsLimit: number;
  readonly intervalMs: number;
  /** The store failed: the process must end. */
  readonly onFatal: (error: unknown) => void;
  readonly onPass?: (pass: { readonly shards: number; readonly bytes: number; readonly durationMs: number }) => void;
}

export function createCheckpointer(options: CheckpointerOptions): Checkpoint {
  return new Checkpointer(options);
}

class Checkpointer implements Checkpoint {
  private readonly options: CheckpointerOptions;
  private readonly stopped = new AbortController();
  /** Encoded, and so counted as unchanged by the ledger, but not stored. */
  private readonly unwritten = new Set<number>();
  private readonly seconds;
  private current: CheckpointPosition;
  private nextMs: number;
  private retryMs = Number.NEGATIVE_INFINITY;
  private running: Promise<void> | undefined;
  private loop: Promise<void> = Promise.resolve();

  constructor(options: CheckpointerOptions) {
    this.options = options;
    this.current = options.checkpointPosition;
    const { clock, metrics } = options;
    this.nextMs = clock.monotonicMs() + options.intervalMs;
    this.seconds = metrics.histogram({
      name: 'tidal_checkpoint_duration_seconds',
      help: 'Time of one finished checkpoint, pauses included.',
      buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300],
    });
    metrics.gauge({
      name: 'tidal_checkpoint_behind_events',
      help: 'Events applied since the last checkpoint: what a start would replay.',
      read: () => this.behind,
    });
    metrics.gauge({
      name: 'tidal_checkpoint_age_seconds',
      help: 'Time since the last checkpoint began; 0 before the first.',
      read: () => (this.checkpointedMs === 0 ? 0 : Math.max(0, clock.nowMs() - this.checkpointedMs) / 1_000),
    });
  }

  get checkpointPosition(): Position {
    return this.current.position;
  }

  get checkpointedMs(): number {
    return this.current.atMs;
  }

  get behind(): number {
    return totalOf(this.options.applied()) - totalOf(this.checkpointPosition);
  }

  start(): void {
    this.loop = this.run();
  }

  now(): Promise<void> {
    this.running ??= this.pass().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.loop;
    await this.running;
  }

  private async run(): Promise<void> {
    const { clock, ledger, turns } = this.options;
    while (!this.stopped.signal.aborted) {
      turns?.mark('checkpoint');
      ledger.pack(PACK_PAIRS, clock.nowMs() - QUIET_MS);
      if (this.due()) await this.now();
      await sleep(clock, LOOK_MS, this.stopped.signal);
    }
  }

  private due(): boolean {
    const { clock, ledger, eventsLimit } = this.options;
    const nowMs = clock.monotonicMs();
    const { behind } = this;
    const enough = Math.min(Math.max(eventsLimit, ledger.pairs), MANY * eventsLimit);
    return nowMs >= this.retryMs && (behind >= enough || (behind > 0 && nowMs >= this.nextMs));
  }

  private async pass(): Promise<void> {
    const { clock, log, intervalMs, onFatal } = this.options;
    try {
      await this.writeShards();
    } catch (error) {
      if (isStorageFull(error)) {
        // Stored shards are whole and newer than the checkpoint position: only the work is lost.
        log.warn('checkpoint abandoned, disk full', { error: messageOf(error) });
        this.retryMs = clock.monotonicMs() + RETRY_MS;
      } else {
        onFatal(error);
      }
    } finally {
      this.nextMs = clock.monotonicMs() + intervalMs;
    }
  }

  private async writeShards(): Promise<void> {
    const { clock, log, wal, ledger, applied, onPass, turns } = this.options;
    const startMs = clock.monotonicMs();
    const checkpointPosition: CheckpointPosition = { position: new Map(applied()), atMs: clock.nowMs() };
    const pass = ledger.pass();
    for (let sliceMs = clock.monotonicMs(); !pass.prepare(PREPARE_PAIRS); sliceMs = clock.monotonicMs()) {
      await this.pauseSince(sliceMs);
      if (this.stopped.signal.aborted) return;
      turns?.mark('checkpoint');
    }
    let shards = 0;
    let bytes = 0;
    for (let shard = 0; shard < SHARDS; shard++) {
      if (this.stopped.signal.aborted) return;
      if (!ledger.changed(shard) && !this.unwritten.has(shard)) continue;
      turns?.mark('checkpoint');
      const shardMs = clock.monotonicMs();
      this.unwritten.add(shard);
      const row = packShard(pass.encode(shard), applied(), this.checkpointPosition);
      await wal.storeShard(shard, row);
      this.unwritten.delete(shard);
      shards++;
      bytes += row.length;
      await this.pauseSince(shardMs);
    }
    if (this.stopped.signal.aborted) return;
    await wal.storeMark('checkpoint', checkpointMark(checkpointPosition));
    const events = totalOf(checkpointPosition.position) - totalOf(this.checkpointPosition);
    this.current = checkpointPosition;
    const durationMs = clock.monotonicMs() - startMs;
    log.info('checkpoint written', { events, shards, bytes, took_ms: Math.round(durationMs) });
    this.seconds.observe(durationMs / 1_000);
    onPass?.({ shards, bytes, durationMs });
  }

  private pauseSince(startMs: number): Promise<void> {
    const { clock } = this.options;
    return sleep(clock, clock.monotonicMs() - startMs, this.stopped.signal);
  }
}
