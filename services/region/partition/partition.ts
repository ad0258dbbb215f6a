/**
 * The partition switch: a drill isolates this region from stream and peers. The switch is a flag on the region's own disk, so
 * that it survives a restart and works without NATS, with the deadline at which it ends by itself, if one was given.
 *
 * Order of effects: the flag is flushed, then acted on. Switches run one after another: a heal that is requested while a
 * partition is being stored heals it. The last request decides: a partition without a deadline removes an earlier deadline.
 *
 * Time: within one process the deadline is a duration, so that a stepped wall clock neither ends a partition early nor prolongs
 * it; after a restart the rest is computed from the wall clock, and is never more than the longest deadline.
 *
 * What a crash leaves: the flag as it was flushed last, with its deadline.
 */
import { Fault, Refusal } from '../../../shared/errors/errors.ts';
import type { Clock, Timer } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { HEAL_AFTER_LIMIT_MS } from '../../../shared/protocol/internal.ts';
import { Queue } from '../queue/queue.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';
import type { Wal } from '../wal/wal.ts';

/** Wait before a heal that a full disk did not store is tried again. */
const RETRY_MS = 5_000;

export interface PartitionSwitchOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly wal: Pick<Wal, 'mark' | 'storeMark'>;
  /** The store failed: the process must end. */
  readonly onFatal: (error: unknown) => void;
}

export interface PartitionSwitch {
  readonly partitioned: boolean;
  /** False as soon as a partition begins to be stored: batches received later are not appended. */
  readonly receives: boolean;
  /** When the partition ends by itself, epoch ms; undefined: when it is healed. */
  readonly healAtMs: number | undefined;
  /** Switches what a partition isolates; runs after the flag is stored, and before `set` resolves. */
  onSwitched(listener: (partitioned: boolean) => Promise<void>): void;
  /** Resumes the deadline that was stored before a restart. */
  start(): void;
  /** Partitions, for at most `healAfterMs` if it is given, or heals. Idempotent. */
  set(partitioned: boolean, healAfterMs?: number): Promise<void>;
  stop(): Promise<void>;
}

export function createPartitionSwitch(options: PartitionSwitchOptions): PartitionSwitch {
  return new StoredPartition(options);
}

/** As stored in the mark `cut`: `true`, `false`, or a partition with its deadline. */
type StoredValue = boolean | { readonly healAtMs: number };

class StoredPartition implements PartitionSwitch {
  private readonly options: PartitionSwitchOptions;
  private value: StoredValue;
  private timer: Timer | undefined;
  private readonly listeners: ((partitioned: boolean) => Promise<void>)[] = [];
  private stopping = false;
  /** True while a partition is being stored. */
  private partitioning = false;
  private readonly switching = new Queue();

  constructor(options: PartitionSwitchOptions) {
    this.options = options;
    this.value = parseMark(options.wal.mark('cut'));
    options.metrics.gauge({
      name: 'tidal_partitioned',
      help: '1 while a drill partitions this region.',
      read: () => this.partitioned,
    });
  }

  get partitioned(): boolean {
    return this.value !== false;
  }

  get receives(): boolean {
    return !this.partitioned && !this.partitioning;
  }

  get healAtMs(): number | undefined {
    return typeof this.value === 'object' ? this.value.healAtMs : undefined;
  }

  onSwitched(listener: (partitioned: boolean) => Promise<void>): void {
    this.listeners.push(listener);
  }

  start(): void {
    if (this.healAtMs !== undefined) this.healAfter(this.healAtMs - this.options.clock.nowMs());
  }

  set(partitioned: boolean, healAfterMs?: number): Promise<void> {
    const run = this.switching.add(() => this.setNow(partitioned, healAfterMs));
    return run.catch((error: unknown) => {
      if (!isStorageFull(error)) {
        if (error instanceof Fault && error.code === 'storage_failed') this.options.onFatal(error);
        throw error;
      }
      throw new Refusal('storage_full', 'the disk of the region is full, the partition cannot be stored', {
        hint: 'nothing was changed',
      });
    });
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.timer?.cancel();
    await this.switching.idle();
  }

  private async setNow(partitioned: boolean, healAfterMs: number | undefined): Promise<void> {
    const { clock, log, wal } = this.options;
    const before = this.value;
    const next = !partitioned ? false : healAfterMs === undefined ? true : { healAtMs: clock.nowMs() + healAfterMs };
    if (before === next) return;
    // Batches accepted from now on would follow the mark in the log.
    this.partitioning = partitioned;
    try {
      await wal.storeMark('cut', next);
      this.value = next;
    } finally {
      this.partitioning = false;
    }
    this.timer?.cancel();
    this.timer = undefined;
    if (healAfterMs !== undefined && partitioned) this.healAfter(healAfterMs);
    if (partitioned) {
      const healAt = this.healAtMs === undefined ? {} : { heal_at: new Date(this.healAtMs).toISOString() };
      log.info('partitioned', healAt);
    } else log.info('healed');
    if (partitioned === (before !== false)) return;
    for (const listener of this.listeners) await listener(partitioned);
  }

  private healAfter(ms: number): void {
    if (this.stopping) return;
    const due = this.value;
    const heal = async (): Promise<void> => {
      // Another request was first: its deadline, if it has one, has another timer.
      if (this.value !== due || this.stopping) return;
      this.options.log.info('partition expired, healing');
      await this.setNow(false, undefined);
    };
    this.timer = this.options.clock.after(Math.min(Math.max(0, ms), HEAL_AFTER_LIMIT_MS), () => {
      this.switching.add(heal).catch((error: unknown) => {
        if (!isStorageFull(error)) return this.options.onFatal(error);
        this.options.log.error('heal not stored, disk full');
        this.healAfter(RETRY_MS);
      });
    });
  }
}

/** When the partition that the mark `cut` states ends by itself, epoch ms; infinite: when it is healed; minus infinite: there is none. */
export function partitionedUntilMs(mark: unknown): number {
  const value = parseMark(mark);
  if (typeof value === 'object') return value.healAtMs;
  return value ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
}

function parseMark(mark: unknown): StoredValue {
  if (typeof mark === 'boolean') return mark;
  const { healAtMs } = (mark ?? {}) as { readonly healAtMs?: unknown };
  return typeof healAtMs === 'number' ? { healAtMs } : false;
}
