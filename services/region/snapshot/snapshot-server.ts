/** Serves a copy of the store, part by part. See `snapshot.ts`. */
import { messageOf, Refusal } from '../../../shared/errors/errors.ts';
import { type Clock, type Random, randomName, type Timer, within } from '../../../shared/kernel/kernel.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { SNAPSHOT_KEPT_MS, SNAPSHOT_MADE_WAIT_MS } from '../../../shared/protocol/deadlines.ts';
import type { SnapshotInfo } from '../../../shared/protocol/internal.ts';
import {
  covers,
  formatPosition,
  merge,
  type Position,
  positionOf,
  sequenceOf,
} from '../../../shared/protocol/position.ts';
import { STORE_FORMAT } from '../../../shared/protocol/version.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';
import type { StoreCopy } from '../store/store.ts';
import { PART_LIMIT_BYTES, type SnapshotServer } from './snapshot.ts';

/** Older ones are shared only while they are read, so that a restarted peer finds the copy of which it has a part. */
const READ_LATELY_MS = 30_000;
/** How long a peer may take from the end of the copy to the end of the log. */
const LOG_NEEDED_MS = 5 * 60_000;

export interface SnapshotServerOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly region: string;
  readonly schemaHash: string;
  readonly durable: () => Position;
  readonly keysForgottenMs: () => number;
  readonly partitioned: () => boolean;
  readonly copy: () => Promise<StoreCopy>;
}

interface Served {
  readonly info: SnapshotInfo;
  readonly copy: StoreCopy;
  readonly madeMs: number;
  readMs: number;
  /** Time of the last read of a part. */
  partMs?: number;
  /** Reads in progress; the copy is not deleted before they end. */
  reading: number;
  gone: boolean;
}

/** A position from which the log must be kept until `untilMs`; undefined: as long as its copy is made or served. */
interface Need {
  readonly position: Position;
  untilMs: number | undefined;
}

export function createSnapshotServer(options: SnapshotServerOptions): SnapshotServer {
  return new CopyServer(options);
}

class CopyServer implements SnapshotServer {
  private readonly options: SnapshotServerOptions;
  private readonly servedBytes;
  private making: Promise<SnapshotInfo> | undefined;
  private served: Served | undefined;
  private needs: Need[] = [];
  private timer: Timer | undefined;
  private stopping = false;
  private disposals: Promise<void> = Promise.resolve();

  constructor(options: SnapshotServerOptions) {
    this.options = options;
    this.servedBytes = options.metrics.counter({
      name: 'tidal_snapshot_served_bytes_total',
      help: 'Bytes of snapshots that others fetched here.',
    });
  }

  get needed(): Position | undefined {
    const nowMs = this.options.clock.monotonicMs();
    this.needs = this.needs.filter(({ untilMs }) => untilMs === undefined || nowMs < untilMs);
    let lowest: Map<string, number> | undefined;
    for (const { position } of this.needs) {
      // An origin that one of them does not contain is needed from its beginning: absent counts as 0.
      if (lowest === undefined) lowest = new Map(position);
      else
        for (const [origin, sequence] of lowest) lowest.set(origin, Math.min(sequence, sequenceOf(position, origin)));
    }
    return lowest;
  }

  async offer(covering: Position = new Map()): Promise<SnapshotInfo> {
    const { clock, region } = this.options;
    this.refuseWhilePartitioned();
    if (this.making === undefined) {
      const { served } = this;
      const nowMs = clock.monotonicMs();
      if (served !== undefined) {
        const young = nowMs - served.madeMs < SNAPSHOT_KEPT_MS || nowMs - served.readMs < READ_LATELY_MS;
        if (young && !this.outdated(served, covering, nowMs)) {
          served.readMs = nowMs;
          return served.info;
        }
        this.withdraw(served);
      }
      this.making = this.make().finally(() => {
        this.making = undefined;
      });
      // The requesting peer may no longer wait for it.
      this.making.catch(() => undefined);
    }
    const info = await within(clock, SNAPSHOT_MADE_WAIT_MS, this.making, undefined);
    if (info === undefined) throw new Refusal('not_ready', `${region} is creating the snapshot`);
    return info;
  }

  /** The requesting peer cannot use it, but could use a new one. Without this it would be offered the same one every time. */
  private outdated({ info, partMs }: Served, covering: Position, nowMs: number): boolean {
    if (partMs !== undefined && nowMs - partMs < READ_LATELY_MS) return false;
    return !covers(positionOf(info.position), covering) && covers(this.options.durable(), covering);
  }

  private async make(): Promise<SnapshotInfo> {
    const { clock, random, log, region, schemaHash, durable } = this.options;
    const startMs = clock.monotonicMs();
    // Read before the copy begins: it holds at least this, and the log is kept from here on.
    const need: Need = { position: merge(durable(), new Map()), untilMs: undefined };
    this.needs.push(need);
    let copy: StoreCopy;
    try {
      copy = await this.options.copy();
    } catch (error) {
      need.untilMs = clock.monotonicMs();
      log.warn('snapshot not created', { error: messageOf(error) });
      if (isStorageFull(error)) {
        throw new Refusal('storage_full', `${region} has no disk space for a copy of its store: ${error.message}`);
      }
      throw error;
    }
    const madeMs = clock.monotonicMs();
    const info: SnapshotInfo = {
      id: randomName(random, 13),
      region,
      bytes: copy.bytes,
      sha256: copy.sha256,
      position: formatPosition(need.position),
      // Read after the copy: records that the copy lacks were removed before.
      keysForgottenMs: this.options.keysForgottenMs(),
      schemaHash,
      format: STORE_FORMAT,
    };
    const served: Served = { info, copy, madeMs, readMs: madeMs, reading: 0, gone: false };
    this.served = served;
    log.info('snapshot created', { id: info.id, bytes: info.bytes, took_ms: Math.round(madeMs - startMs) });
    if (this.stopping) this.withdraw(served);
    else this.expireLater(served, need);
    return info;
  }

  private expireLater(served: Served, need: Need): void {
    const { clock } = this.options;
    this.timer = clock.after(Math.max(0, served.readMs + SNAPSHOT_KEPT_MS - clock.monotonicMs()), () => {
      const over = served.gone || clock.monotonicMs() - served.readMs >= SNAPSHOT_KEPT_MS;
      if (!over) return this.expireLater(served, need);
      need.untilMs = clock.monotonicMs() + LOG_NEEDED_MS;
      if (!served.gone) this.withdraw(served);
    });
  }

  async read(id: string, offset: number): Promise<Uint8Array> {
    const { clock, region } = this.options;
    this.refuseWhilePartitioned();
    const { served } = this;
    if (served === undefined || served.info.id !== id) {
      throw new Refusal('snapshot_gone', `${region} does not serve the snapshot ${id}`);
    }
    served.readMs = served.partMs = clock.monotonicMs();
    served.reading++;
    try {
      const bytes = await served.copy.read(offset, PART_LIMIT_BYTES);
      this.options.turns?.mark('snapshot');
      this.servedBytes.inc(bytes.length);
      return bytes;
    } finally {
      served.readMs = served.partMs = clock.monotonicMs();
      served.reading--;
      if (served.gone && served.reading === 0) this.dispose(served);
    }
  }

  private refuseWhilePartitioned(): void {
    const { region, partitioned } = this.options;
    if (this.stopping) throw new Refusal('not_ready', `${region} is stopping`);
    if (partitioned()) throw new Refusal('region_unreachable', `${region} is partitioned`);
  }

  private withdraw(served: Served): void {
    served.gone = true;
    if (this.served === served) this.served = undefined;
    if (served.reading === 0) this.dispose(served);
  }

  private dispose(served: Served): void {
    const { log } = this.options;
    const disposal = served.copy.dispose().catch((error: unknown) => {
      // The rest of it is removed at the next start.
      log.warn('snapshot not removed', { error: messageOf(error) });
    });
    this.disposals = this.disposals.then(() => disposal);
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.timer?.cancel();
    await this.making?.catch(() => undefined);
    this.timer?.cancel();
    if (this.served !== undefined) this.withdraw(this.served);
    await this.disposals;
  }
}
