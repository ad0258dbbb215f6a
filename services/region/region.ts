/**
 * One region, assembled in the order in which its parts need each other:
 *
 *     log on its disk → state → replication → upkeep → serving
 *
 * The parts stand in one ordered list of stages: they start in that order and stop in reverse. Clock, randomness, store, stream and
 * links come in from outside, so that a simulation can run many regions in one process.
 */
import type Koa from 'koa';
import { Refusal } from '../../shared/errors/errors.ts';
import type { HttpLimits } from '../../shared/http/http-server.ts';
import type { Clock, Random } from '../../shared/kernel/kernel.ts';
import { type Stages, startParts, stopParts } from '../../shared/kernel/parts.ts';
import type { Log } from '../../shared/observe/log.ts';
import type { Metrics } from '../../shared/observe/metrics.ts';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import type { Control, Stream } from '../../shared/stream/stream.ts';
import { logAheadMs } from './clocks/clocks.ts';
import type { StateLimits } from './intake/intake.ts';
import { noStateLimits, StateLimit } from './intake/state-limit.ts';
import { StepDown } from './leadership/step-down.ts';
import type { PeerLink } from './peers/peers.ts';
import type { Rebuild } from './rebuild/rebuild.ts';
import { markCaughtUp, takeDirectory } from './region-directory.ts';
import { describeRegion } from './region-status.ts';
import type { Schema } from './schema/schema.ts';
import type { ArrivedSnapshot } from './snapshot/snapshot.ts';
import { createFilterIndex } from './state/filter-index/bitmap-filter-index.ts';
import { createTextIndex } from './state/text/text-index.ts';
import { createVectors } from './state/vectors/vector-client.ts';
import type { OpenVectorWorker } from './state/vectors/vector-worker.ts';
import { DiskSpaceWatch } from './store/disk-space-watch.ts';
import type { Store, StoreHome } from './store/store.ts';
import { openLog } from './wal/log.ts';
import { createKeyLimit, createStorageLimit } from './wal/storage-limit.ts';
import { assembleReplication } from './wiring/replication.ts';
import { assembleServing, type SearchIndexes } from './wiring/serving.ts';
import { assembleState } from './wiring/state.ts';
import { assembleUpkeep } from './wiring/upkeep.ts';

export interface RegionOptions {
  readonly region: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The open store of `home`. */
  readonly store: Store;
  readonly home: Pick<StoreHome, 'copy' | 'incoming'>;
  readonly stream: Stream;
  readonly control: Control;
  /** Its own key for heartbeats; absent: failover is manual. */
  readonly alive?: Control | undefined;
  readonly schema: Schema;
  /** Source of the schema, for messages. */
  readonly schemaFile: string;
  /** To every other region of the topology. */
  readonly links: readonly PeerLink[];
  /** Regions whose origins are accepted, present and former; absent: any. */
  readonly regions?: readonly string[];
  readonly intakeQueueLimit: number;
  readonly intakeQueueBytes: number;
  readonly logMaxBytes: number;
  readonly logRetentionBytes: number;
  readonly checkpointEvents: number;
  readonly checkpointIntervalMs: number;
  readonly idempotencyKeysLimit: number;
  /** Absent: the state has no limits. */
  readonly stateLimits?: StateLimits;
  readonly maxBodyBytes: number;
  readonly maxBodiesBytes: number;
  readonly httpLimits: HttpLimits;
  /** The same in every region; absent or empty: the public default. See `pages/signed-cursors.ts`. */
  readonly cursorSecret?: string;
  /**
   * A peer's snapshot was fetched and can replace the store: the receiver stops this region, merges its store into the copy, and
   * starts it on the copy.
   */
  readonly onArrived: (arrived: ArrivedSnapshot) => void;
  /** Opens the vector index: in a thread of its own, or in this one. */
  readonly openVectors: OpenVectorWorker;
  /** Builds filter index and text index of many items at a start; absent: items are indexed one by one. */
  readonly openRebuild?: () => Rebuild;
  /** Monotonic ms before which no snapshot is fetched; absent: at once. */
  readonly snapshotsNotBeforeMs?: number;
  /** Runs the action in the next turn of the event loop; absent: by the clock. */
  readonly nextTurn?: (action: () => void) => void;
  /** The process must end at once, without answering. */
  readonly onFatal: (error: unknown) => void;
}

export interface Region {
  readonly app: Koa;
  start(): void;
  /** Called before `stop`: see `leadership/step-down.ts`. */
  readonly stepDown: StepDown;
  /** Stops accepting, finishes accepted writes, closes the store. */
  stop(): Promise<void>;
}

/** Opens the log and recovers the state; throws `ConfigError` where this directory or schema cannot be served. */
export async function createRegion(options: RegionOptions): Promise<Region> {
  const { region, regions, clock, random, log, metrics, schema, schemaFile, stream, links, onFatal } = options;
  const disk = new DiskSpaceWatch({ clock, region, store: options.store, onFatal });
  const wal = openLog({ store: disk.store, metrics });
  const { startedEmpty, installed } = await takeDirectory({
    ...{ wal, region, random, log, schema, schemaFile },
    alone: links.length === 0,
  });

  const state = assembleState<SearchIndexes>({
    ...{ clock, log, metrics, wal, schema, rebuild: options.openRebuild?.() },
    openIndexes: ({ entities, catalog }) => ({
      filterIndex: createFilterIndex({ entities, metadataOf: (ordinal) => catalog.metadata(ordinal) }),
      text: createTextIndex({ schema, entities }),
      vectors: createVectors({
        ...{ clock, log, metrics, entities, catalog, open: options.openVectors },
        dimensions: schema.embedding.dimensions,
      }),
    }),
  });
  const { entities, apply, catalog, ledger } = state;

  const storageLimit = createStorageLimit({
    ...{ clock, store: options.store, limitBytes: options.logMaxBytes, region, metrics },
  });
  const replication = assembleReplication({
    ...{ region, regions, clock, random, log, metrics, schema, wal, apply, stream, links, startedEmpty, onFatal },
    ...{ control: options.control, alive: options.alive },
    ...{ intakeQueueLimit: options.intakeQueueLimit, intakeQueueBytes: options.intakeQueueBytes },
    members: [region, ...links.map((link) => link.region)],
    writeBlocker({ readiness, clockCheck }) {
      if (!readiness.ready) return new Refusal('not_ready', `${region} is still catching up with its peers`);
      return storageLimit() ?? clockCheck.writeBlocker;
    },
    keyRefusal: createKeyLimit({
      ...{ clock, wal, region, metrics },
      ...{ limit: options.idempotencyKeysLimit, storeLimitBytes: options.logMaxBytes },
    }),
    stateLimit: new StateLimit({
      ...{ clock, region, metrics, entities, catalog, ledger },
      limits: options.stateLimits ?? noStateLimits,
    }),
    onReady() {
      log.info('ready');
      markCaughtUp(wal, log).catch(onFatal);
    },
    onStopped: ({ origin, code, detail }) => log.error('origin stopped', { origin, code, detail }),
  });
  const { peers, partition, role, ship, ingest, readiness, writeBlocker } = replication;

  const upkeep = assembleUpkeep({
    ...{ region, regions, clock, random, log, metrics, schema, schemaFile, wal, stream, links, onFatal },
    ...{ state, replication, home: options.home, onArrived: options.onArrived },
    ...{ checkpointEvents: options.checkpointEvents, checkpointIntervalMs: options.checkpointIntervalMs },
    logRetentionBytes: options.logRetentionBytes,
    startedEmpty: startedEmpty && !installed,
    snapshotsNotBeforeMs: options.snapshotsNotBeforeMs ?? 0,
  });
  const { disks, settings, bootstrap } = upkeep;

  const stepDown = new StepDown({ clock, log, region, role, peers, stream, partitioned: () => partition.partitioned });
  const { vectors } = state.indexes;
  const status = (): RegionStatus =>
    describeRegion({
      ...{
        region,
        clock,
        wal,
        stream,
        schema,
        role,
        ingest,
        apply,
        ship,
        catalog,
        vectors,
        partition,
        disks,
        stepDown,
      },
      ready: readiness.ready,
      snapshot: bootstrap,
      schemaBehind: bootstrap.schemaBehind,
      indexing: state.recovered.indexing,
      writeBlocker: writeBlocker() ?? disk.refusal,
      streamSettings: settings.findings,
    });
  const app = assembleServing({
    ...{ region, clock, random, log, metrics, schema, wal, stream, state, replication, upkeep, stepDown, status },
    ...{ maxBodyBytes: options.maxBodyBytes, maxBodiesBytes: options.maxBodiesBytes, httpLimits: options.httpLimits },
    cursorSecret: options.cursorSecret ?? '',
    nextTurn: options.nextTurn,
  });
  metrics.gauge({
    name: 'tidal_accepting',
    help: '1 while this region is the leader and takes writes.',
    read: () =>
      role.leads && disk.refusal === undefined && !(role.gate(role.leadership?.epoch ?? 0) instanceof Refusal),
  });
  metrics.gauge({
    name: 'tidal_stopped',
    help: '1 while something a peer holds cannot be taken here: schema behind, damaged log.',
    read: () => ingest.stopped.size > 0 || bootstrap.schemaBehind !== undefined,
  });
  metrics.gauge({
    name: 'tidal_failed_indexes',
    help: 'Indexes that cannot be read until the region is started again.',
    read: () => [state.recovered.indexing.failed, vectors.stats.failed].filter((why) => why !== undefined).length,
  });
  metrics.gauge({
    name: 'tidal_log_ahead_seconds',
    help: 'How far the latest acceptance time in the log is ahead of this region’s clock.',
    read: () => logAheadMs(wal, clock.nowMs()) / 1_000,
  });

  const stages: Stages = [
    [{ stop: () => wal.close() }],
    [disk],
    [vectors],
    ...state.stages,
    ...upkeep.stages,
    ...replication.stages,
  ];
  return { app, stepDown, start: () => startParts(stages), stop: () => stopParts(stages) };
}
