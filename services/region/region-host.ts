/**
 * One region across its stores: starts a generation of it (`region.ts`) on the current store, and the next one when a snapshot
 * was fetched. Stream, links, metrics and the listening socket stay; everything else belongs to one generation.
 *
 * Order of effects of a change: the present generation stops (it finishes accepted writes, flushes, closes the store) → the
 * fetched copy is checked against it, and what only this region has is appended to the copy → both are closed, the pointer
 * switches → the next generation starts on it. Meanwhile requests are refused with `not_ready`: routers hold writes.
 *
 * A generation that does not start because a batch or a register on its disk is damaged has it restored, and starts again.
 *
 * A generation whose log has an event that cannot be applied does not start: until the event is set aside the host serves only
 * the region's status and that command.
 *
 * What a crash leaves: before the pointer switched, the former store, whole; after it, the merged one, whole. A copy that cannot
 * be merged is deleted, and the former store stays in use.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { Fault, messageOf, Refusal } from '../../shared/errors/errors.ts';
import { createBlockedApp } from './http/blocked-app.ts';
import { createInternalGate } from './http/internal-gate.ts';
import { createSwitchingApp } from './http/switching-app.ts';
import { lastingMetrics } from './lasting-metrics.ts';
import { Queue } from './queue/queue.ts';
import { checkpointed, setAside, UnappliableEvent } from './recover/unappliable.ts';
import { createRegion, type Region } from './region.ts';
import type { RegionOptions } from './region-options.ts';
import { describeBlocked } from './region-status.ts';
import { restoredCounter } from './repair/restore-batches.ts';
import { restoreStore } from './repair/restore-store.ts';
import { mergeInto, obstacleOf } from './snapshot/merge.ts';
import type { ArrivedSnapshot } from './snapshot/snapshot.ts';
import type { Store, StoreHome, TableName } from './store/store.ts';
import { damagedRowOf } from './wal/damaged-rows.ts';
import { openLog } from './wal/log.ts';
import type { Wal } from './wal/wal.ts';

/** Wait before the next fetch after a snapshot that could not be installed: the logs may fill the region meanwhile. */
const DROPPED_MS = 60_000;
const RESTORABLE: ReadonlySet<TableName> = new Set(['batches', 'items', 'embeddings']);

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<unknown>;

export interface RegionHostOptions
  extends Omit<RegionOptions, 'store' | 'home' | 'onArrived' | 'snapshotsNotBeforeMs'> {
  readonly home: StoreHome;
  /** A test that kills the process between two steps of the write path wraps each store a generation writes to. */
  readonly wrapStore?: ((store: Store) => Store) | undefined;
}

export interface RegionHost {
  /** The request handler of the listening socket, for the present generation. */
  readonly app: { callback(): Handler };
  /** Number of generations started, the first included. */
  readonly generation: number;
  start(): void;
  /** Before a stop: hands over if the region leads. During a change there is nothing to hand over. */
  stepDown(limitMs: number, together: AbortSignal): Promise<void>;
  /** Finishes a change in progress, then stops the region and closes its store. */
  stop(): Promise<void>;
}

/** Opens the home and recovers the region; throws `ConfigError` where this directory or schema cannot be served. */
export async function createRegionHost(options: RegionHostOptions): Promise<RegionHost> {
  const host = new Host(options);
  await host.startGeneration();
  return host;
}

class Host implements RegionHost {
  private readonly options: RegionHostOptions;
  private readonly metrics: ReturnType<typeof lastingMetrics>;
  private readonly gate: ReturnType<typeof createInternalGate>;
  private readonly blocked: (is: boolean) => void;
  private readonly installed: (generation: 'installed' | 'dropped') => void;
  private handler: Handler | undefined;
  private region: Region | undefined;
  private readonly changes = new Queue();
  private started = false;
  /** Aborted by a stop. */
  private readonly stopping = new AbortController();
  /** Defined while an event cannot be applied. */
  private closeBlocked: (() => Promise<void>) | undefined;
  private notBeforeMs = Number.NEGATIVE_INFINITY;
  generation = 0;

  readonly app = {
    callback: (): Handler => async (request, response) => this.handler?.(request, response),
  };

  constructor(options: RegionHostOptions) {
    this.options = options;
    this.metrics = lastingMetrics(options.metrics);
    this.gate = createInternalGate({ ...options, metrics: this.metrics });
    const changes = this.metrics.counter({
      name: 'tidal_snapshots_installed_total',
      help: 'Snapshots that took the place of this region’s store, or were dropped because they could not.',
      labels: ['outcome'],
      series: [{ outcome: 'installed' }, { outcome: 'dropped' }],
    });
    this.installed = (outcome) => changes.inc({ outcome });
    const blocked = this.metrics.gauge({
      name: 'tidal_blocked',
      help: '1 while the region serves nothing because an event of its log cannot be applied.',
    });
    this.blocked = (is) => blocked.set(Number(is));
  }

  /** `isSecond`: the first attempt found damage, which was restored. If a stop ends the restoration, no generation is started. */
  async startGeneration(isSecond = false): Promise<void> {
    const { home, wrapStore } = this.options;
    const store = home.open();
    try {
      this.region = await createRegion({
        ...this.options,
        metrics: this.metrics,
        snapshotsNotBeforeMs: this.notBeforeMs,
        store: wrapStore?.(store) ?? store,
        onArrived: (arrived) => {
          this.changes.add(() => this.change(arrived)).catch((error: unknown) => this.options.onFatal(error));
        },
      });
    } catch (error) {
      this.metrics.pause();
      await store.close();
      if (error instanceof Fault && error.code === 'unknown_format') throw new ConfigError(error.message);
      if (error instanceof UnappliableEvent) return this.block(error);
      const damage = damagedRowOf(error);
      if (isSecond || damage === undefined || !RESTORABLE.has(damage.table)) throw error;
      this.options.log.error('the store is damaged, restoring', { error: damage.message });
      const isRestored = await this.restored();
      if (this.stopping.signal.aborted) return;
      if (!isRestored) throw error;
      return this.startGeneration(true);
    }
    this.blocked(false);
    this.generation++;
    this.handler = this.region.app.callback();
    if (this.started && !this.stopping.signal.aborted) this.region.start();
  }

  /** Whether the current store is restored. */
  private async restored(): Promise<boolean> {
    const { log, clock, links, home } = this.options;
    const restored = restoredCounter(this.metrics);
    try {
      const wal = await logOn(home.open());
      try {
        return await restoreStore({ log, clock, wal, links, restored, signal: this.stopping.signal });
      } finally {
        await wal.close();
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      log.error('the store is not restored', { error: error.message });
      return false;
    }
  }

  /** Serves the status of a region that cannot build its state, until the event is set aside. */
  private block({ message: detail, range }: UnappliableEvent): void {
    const { log, clock, random, region, httpLimits: limits, schema, home } = this.options;
    log.error('event cannot be applied, waiting for its quarantine', { ...range, error: detail });
    this.blocked(true);
    const store = home.open();
    const wal = openLog({ store });
    const contained = checkpointed(wal);
    this.closeBlocked = () => wal.close();
    this.handler = createBlockedApp({
      ...{ log, metrics: this.metrics, clock, random, limits, region, detail, admit: this.gate },
      status: () => describeBlocked({ region, clock, wal, schema, contained, origin: range.origin, detail }),
      setAside: (aside) => {
        const run = this.changes.add(async () => {
          if (this.stopping.signal.aborted || this.closeBlocked === undefined)
            throw new Refusal('not_ready', `${region} is changing`);
          await setAside(wal, aside, contained);
          await this.closeBlocked();
          this.closeBlocked = undefined;
          this.metrics.pause();
          await this.startGeneration();
        });
        run.catch((error: unknown) => {
          if (!(error instanceof Refusal)) this.options.onFatal(error);
        });
        return run;
      },
    }).callback();
  }

  start(): void {
    this.started = true;
    this.region?.start();
  }

  private async change(arrived: ArrivedSnapshot): Promise<void> {
    const { log, clock, random, region, httpLimits } = this.options;
    if (this.stopping.signal.aborted) return;
    const startMs = clock.monotonicMs();
    log.info('switching to the fetched store', { peer: arrived.peer, id: arrived.info.id });
    this.handler = createSwitchingApp({
      log,
      metrics: this.metrics,
      clock,
      random,
      limits: httpLimits,
      region,
      admit: this.gate,
    }).callback();
    const former = this.region;
    this.region = undefined;
    await former?.stop();
    this.metrics.pause();
    this.options.turns?.mark('snapshot');
    try {
      const events = await this.install(arrived);
      this.installed('installed');
      log.info('switched to the fetched store', {
        appended: events,
        took_ms: Math.round(clock.monotonicMs() - startMs),
      });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.installed('dropped');
      this.notBeforeMs = clock.monotonicMs() + DROPPED_MS;
      log.error('snapshot not installed, keeping the current store', { error: messageOf(error) });
      await arrived.incoming.discard();
    }
    await this.startGeneration();
  }

  /** Returns how many events that only this region had were appended to the copy. */
  private async install({ incoming }: ArrivedSnapshot): Promise<number> {
    const mine = await logOn(this.options.home.open());
    let events: number;
    try {
      const copy = await logOn(incoming.open());
      try {
        const obstacle = obstacleOf(mine, copy);
        if (obstacle !== undefined) throw new Fault('snapshot_unfit', obstacle);
        events = await merged(mine, copy);
      } finally {
        await copy.close();
      }
    } finally {
      await mine.close();
    }
    await incoming.makeCurrent();
    return events;
  }

  async stepDown(limitMs: number, together: AbortSignal): Promise<void> {
    await this.region?.stepDown.run(limitMs, together);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.changes.idle();
    await this.region?.stop();
    await this.closeBlocked?.();
  }
}

/** The log on that store, which is closed if the log cannot be opened. */
async function logOn(store: Store): Promise<Wal> {
  try {
    return openLog({ store });
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** If anything cannot be appended, only the copy is lost; the store of this region is intact. */
async function merged(mine: Wal, copy: Wal): Promise<number> {
  try {
    return await mergeInto(mine, copy);
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault('snapshot_unfit', `it cannot be merged with: ${messageOf(error)}`, { cause: error });
  }
}
