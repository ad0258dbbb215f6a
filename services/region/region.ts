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
import { type Stages, startParts, stopParts } from '../../shared/kernel/parts.ts';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { logAheadMs } from './clocks/clocks.ts';
import { ClientKeys } from './intake/client-keys.ts';
import { noStateLimits, StateLimit } from './intake/state-limit.ts';
import { StepDown } from './leadership/step-down.ts';
import { markCaughtUp, takeDirectory } from './region-directory.ts';
import type { RegionOptions } from './region-options.ts';
import { describeRegion } from './region-status.ts';
import { createFilterIndex } from './state/filter-index/bitmap-filter-index.ts';
import { createTextIndex } from './state/text/text-index.ts';
import { createVectors } from './state/vectors/vector-client.ts';
import { DiskSpaceWatch } from './store/disk-space-watch.ts';
import { addChecksums } from './wal/add-checksums.ts';
import { openLog } from './wal/log.ts';
import { createKeyLimit, createStorageLimit, keyBytesLimit } from './wal/storage-limit.ts';
import { assembleReplication } from './wiring/replication.ts';
import { assembleServing, type SearchIndexes } from './wiring/serving.ts';
import { assembleState } from './wiring/state.ts';
import { assembleUpkeep } from './wiring/upkeep.ts';

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
  const { region, clock, log, metrics, turns, schema, stream, links, onFatal } = options;
  turns?.mark('recovery');
  const disk = new DiskSpaceWatch({ clock, region, store: options.store, onFatal });
  await addChecksums({ store: disk.store, clock, log });
  const wal = openLog({ store: disk.store, metrics });
  const { startedEmpty, installed } = await takeDirectory({ ...options, wal, alone: links.length === 0 });

  // Taking the directory may have waited for the disk.
  turns?.mark('recovery');
  const state = assembleState<SearchIndexes>({
    ...{ ...options, wal, rebuild: options.openRebuild?.() },
    openIndexes: ({ entities, catalog }) => ({
      filterIndex: createFilterIndex({
        entities,
        items: catalog,
        metadataOf: (ordinal) => catalog.indexedMetadata(ordinal),
        unindexed: {
          ordinals: () => catalog.unindexed.ordinals(),
          present: (ordinal) => catalog.metadata(ordinal),
        },
      }),
      text: createTextIndex({
        ...{ schema, entities },
        metadataOf: (ordinal) => catalog.indexedMetadata(ordinal) ?? catalog.metadata(ordinal),
      }),
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
    ...{ ...options, wal, apply, startedEmpty, items: catalog },
    members: [region, ...links.map((link) => link.region)],
    writeBlocker({ readiness, clockCheck }) {
      if (!readiness.ready) return new Refusal('not_ready', `${region} is still catching up with its peers`);
      return storageLimit() ?? clockCheck.writeBlocker;
    },
    keyRefusal: createKeyLimit({
      ...{ clock, wal, region, metrics },
      ...{ limit: options.idempotencyKeysLimit, storeLimitBytes: options.logMaxBytes },
    }),
    clientKeys: new ClientKeys({
      ...{ clock, log, metrics, limit: options.clientIdempotencyKeys },
      limitBytes: keyBytesLimit(options.logMaxBytes) * (options.clientIdempotencyKeys / options.idempotencyKeysLimit),
    }),
    stateLimit: new StateLimit({
      ...{ clock, region, metrics, entities, catalog, ledger, filterIndex: state.indexes.filterIndex },
      indexQueue: state.recovered.indexQueue,
      limits: options.stateLimits ?? noStateLimits,
    }),
    onReady() {
      log.info('ready');
      markCaughtUp(wal, log).catch(onFatal);
    },
    onStopped: ({ origin, code, detail }) => log.error('origin stopped', { origin, code, detail }),
  });
  const { peers, partition, role, ingest, readiness, writeBlocker } = replication;

  const upkeep = assembleUpkeep({ ...options, wal, state, replication, startedEmpty: startedEmpty && !installed });
  const { disks, settings, bootstrap } = upkeep;

  const stepDown = new StepDown({ clock, log, region, role, peers, stream, partitioned: () => partition.partitioned });
  const { vectors } = state.indexes;
  const startedMs = clock.nowMs();
  const status = (): RegionStatus =>
    describeRegion({
      ...{ ...replication, region, clock, startedMs, wal, stream, schema, apply, catalog, vectors, disks, stepDown },
      ready: readiness.ready,
      snapshot: bootstrap,
      schemaBehind: bootstrap.schemaBehind,
      indexing: state.recovered.indexing,
      writeBlocker: writeBlocker() ?? disk.refusal,
      streamSettings: settings.findings,
    });
  const app = assembleServing({ ...options, wal, state, replication, upkeep, stepDown, status });
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
