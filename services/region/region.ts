/**
 * One region: joins its parts. The path of a write through them:
 *
 *     http → intake → wal (flush) → apply → ship → stream → receive → wal (flush) → apply, in every other region
 *
 * Clock, randomness, store, stream and links are passed in, so that a simulation can run many regions in one process.
 */
import type Koa from 'koa';
import { Refusal } from '../../shared/errors/errors.ts';
import { BodyBudget } from '../../shared/http/body-budget.ts';
import type { HttpLimits } from '../../shared/http/http-server.ts';
import type { Clock, Random } from '../../shared/kernel/kernel.ts';
import { epochRefusal } from '../../shared/leadership/epochs.ts';
import type { Log } from '../../shared/observe/log.ts';
import type { Metrics } from '../../shared/observe/metrics.ts';
import { hlcRefusal } from '../../shared/protocol/events.ts';
import { DIGESTS_LIMIT, type RegionStatus } from '../../shared/protocol/internal.ts';
import { formatPosition, type Position, regionOf, totalOf } from '../../shared/protocol/position.ts';
import { StatusPoller } from '../../shared/region-client/status-poller.ts';
import type { Control, Stream } from '../../shared/stream/stream.ts';
import { createApplier } from './apply/applier.ts';
import type { Apply } from './apply/apply.ts';
import { createCheckpointer } from './checkpoint/checkpointer.ts';
import { createDiskAccount, unreportedDisks } from './checkpoint/disk-account.ts';
import { createKeySweep } from './checkpoint/key-sweep.ts';
import { createTrimmer } from './checkpoint/trimmer.ts';
import { ClockCheck, logAheadMs } from './clocks/clocks.ts';
import { describeSchema } from './compatible/compatible.ts';
import { Heartbeat } from './heartbeat/heartbeat.ts';
import { createRegionApp } from './http/app.ts';
import type { RegionSurface } from './http/http.ts';
import { createGroupCommit } from './intake/group-commit.ts';
import type { Intake } from './intake/intake.ts';
import type { Role } from './leadership/leadership.ts';
import { createLeadershipRole } from './leadership/leadership-role.ts';
import { StepDown } from './leadership/step-down.ts';
import { createCursors } from './pages/signed-cursors.ts';
import { createPartitionSwitch } from './partition/partition.ts';
import type { PeerLink, Peers } from './peers/peers.ts';
import { createRank } from './rank/profile-rank.ts';
import { createReadiness, type Readiness } from './readiness/readiness.ts';
import type { Rebuild } from './rebuild/rebuild.ts';
import { drain } from './receive/drain.ts';
import { createIngest } from './receive/ingest.ts';
import type { Ingest, Receiver } from './receive/receive.ts';
import { createStreamReceiver } from './receive/stream-receiver.ts';
import { recover } from './recover/recover.ts';
import { setAside } from './recover/unappliable.ts';
import { markCaughtUp, requireAccepted, takeDirectory } from './region-directory.ts';
import { createRegionCounters, registerRegionGauges } from './region-metrics.ts';
import { describeRegion, lagBehindLeader } from './region-status.ts';
import { createPeerRepair } from './repair/peer-repair.ts';
import type { Repair } from './repair/repair.ts';
import type { Schema } from './schema/schema.ts';
import { decayedSignals } from './schema/schema.ts';
import { createSearch } from './search/fused-search.ts';
import { lowestAtPeers } from './ship/lowest-at-peers.ts';
import { SettingsWatch } from './ship/settings-watch.ts';
import type { Ship } from './ship/ship.ts';
import { createShipper } from './ship/shipper.ts';
import { createBootstrap } from './snapshot/bootstrap.ts';
import type { ArrivedSnapshot, Bootstrap } from './snapshot/snapshot.ts';
import { createSnapshotServer } from './snapshot/snapshot-server.ts';
import { createRegisters } from './state/catalog/registers.ts';
import { digestOf } from './state/digest.ts';
import { Entities } from './state/entities/entities.ts';
import { createFilterIndex } from './state/filter-index/bitmap-filter-index.ts';
import { createKeptDigest } from './state/kept-digest.ts';
import { createLedger } from './state/ledger/signal-ledger.ts';
import { createTextIndex } from './state/text/text-index.ts';
import { createVectors } from './state/vectors/vector-client.ts';
import type { OpenVectorWorker } from './state/vectors/vector-worker.ts';
import { DiskSpaceWatch } from './store/disk-space-watch.ts';
import type { Store, StoreHome } from './store/store.ts';
import { openLog } from './wal/log.ts';
import { createKeyLimit, createStorageLimit } from './wal/storage-limit.ts';

/** Limit of the read time ahead of this region's clock, ms. */
const READ_AHEAD_MS = 5 * 60_000;

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
  const { region, regions, clock, random, log, metrics, schema, stream, control, links, onFatal } = options;
  const room = new DiskSpaceWatch({ clock, region, store: options.store, onFatal });
  const wal = openLog({ store: room.store });
  const { startedEmpty, installed } = await takeDirectory({
    ...{ wal, region, random, log, schema },
    schemaFile: options.schemaFile,
    alone: links.length === 0,
  });

  const entities = new Entities();
  const catalog = createRegisters({ entities });
  const ledger = createLedger({
    schema,
    entities,
    createdMs: (ordinal) => catalog.createdMs(ordinal),
    decayed: decayedSignals(schema.profiles.values()),
  });
  const filterIndex = createFilterIndex({ entities, metadataOf: (ordinal) => catalog.metadata(ordinal) });
  const text = createTextIndex({ schema, entities });
  const { dimensions } = schema.embedding;
  const vectors = createVectors({ clock, log, metrics, dimensions, entities, catalog, open: options.openVectors });
  const rebuild = options.openRebuild?.();
  const recovered = recover({ clock, log, wal, catalog, ledger, filterIndex, text, rebuild });

  const counters = createRegionCounters(metrics);
  const apply: Apply = createApplier({
    ...{ clock, catalog, ledger, vectors },
    ...recovered,
    copies: (id) => wal.copies(id),
    onApplied: (batch) => {
      counters.applied(batch.last - batch.first + 1);
      keptDigest.applied(batch);
      // An origin of this region that was fetched from a peer is shipped by this region.
      if (regionOf(batch.origin) === region) ship.notify(batch.origin);
    },
  });
  const keptDigest = createKeptDigest({ clock, catalog, ledger, position: () => apply.applied });
  const nowMs = (): number => {
    const now = clock.nowMs();
    return Math.min(Math.max(now, apply.newestMs), now + READ_AHEAD_MS);
  };
  const rank = createRank({ schema, entities, catalog, ledger, nowMs });
  const search = createSearch({ dimensions, catalog, filterIndex, text, vectors });
  const peers: Peers = new StatusPoller({ clock, clients: links, pace: 'rounds' });
  const clockCheck = new ClockCheck({ clock, region, peers });
  const checkpoint = createCheckpointer({
    ...{ clock, log, wal, ledger },
    applied: () => apply.applied,
    checkpointPosition: recovered.checkpointPosition,
    eventsLimit: options.checkpointEvents,
    intervalMs: options.checkpointIntervalMs,
    onFatal,
    onPass: counters.checkpointed,
  });
  const checkpointPosition = (): Position => checkpoint.checkpointPosition;
  const trim = createTrimmer({
    ...{ clock, log, wal, peers, checkpointPosition },
    needed: () => snapshots.needed,
    retentionBytes: options.logRetentionBytes,
    onFatal,
    onTrimmed: counters.trimmed,
  });
  const disks = createDiskAccount({
    ...{ clock, random, log, region, wal, peers },
    others: links.map((link) => link.region),
    applied: () => apply.applied,
  });
  const keySweep = createKeySweep({
    ...{ clock, log, wal, disks, checkpointPosition, onFatal, onForgotten: counters.keysForgotten },
  });
  const settings = new SettingsWatch({
    ...{ clock, log, stream, onChanged: counters.streamSettingChanged },
    mends: () => role.leads,
  });
  const background = [checkpoint, trim, keySweep, recovered.indexing, settings, room];
  const drill = createPartitionSwitch({
    clock,
    log,
    wal,
    async onSwitched(partitioned) {
      repair.setEnabled(!partitioned);
      await Promise.all([ship.setEnabled(!partitioned), receiver.setEnabled(!partitioned)]);
      if (!partitioned) await peers.poll();
    },
    onFatal,
  });
  const enabled = !drill.partitioned;
  const { alive } = options;
  const heartbeat =
    alive === undefined
      ? undefined
      : new Heartbeat({ clock, log, region, key: alive, partitioned: () => drill.partitioned });

  const ship: Ship = createShipper({
    clock,
    log,
    region,
    wal,
    stream,
    enabled,
    startOf: (origin) => lowestAtPeers(peers, origin),
    onShipped: counters.shipped,
  });
  const ingest: Ingest = createIngest({
    ...{ clock, log, wal, apply, schema, regions },
    receives: () => drill.receives,
    onStopped: ({ origin, code, detail }) => log.error('origin stopped', { origin, code, detail }),
    onRefused: counters.refused,
    implausible: ({ origin, epoch, lastHlc }) =>
      hlcRefusal(lastHlc) ?? (wal.origin(origin) === undefined ? epochRefusal(epoch, role.knownEpoch) : undefined),
  });
  const repair: Repair = createPeerRepair({
    ...{ region, clock, log, wal, ingest, peers, links, enabled, onFatal },
    onRepaired: counters.repaired,
    held: () => bootstrap.holdsRepair,
    onTrimmed: (peer, origin) => bootstrap.trimmedAt(peer, origin),
  });
  const bootstrap: Bootstrap = createBootstrap({
    ...{ clock, log, peers, links, wal },
    leads: () => role.leads,
    openLog: (store) => openLog({ store }),
    incoming: (id, bytes) => options.home.incoming(id, bytes),
    startedEmpty: startedEmpty && !installed,
    ready: () => readiness.ready,
    notBeforeMs: options.snapshotsNotBeforeMs ?? 0,
    hindered: () => drill.partitioned,
    requireSchema: (copy) => requireAccepted(copy, schema, options.schemaFile),
    regions,
    schema: describeSchema(schema),
    knownEpoch: () => role.knownEpoch,
    onReleased: () => repair.nudge(),
    onArrived: options.onArrived,
    onReceived: counters.snapshotReceived,
    onRefused: counters.snapshotRefused,
  });
  const snapshots = createSnapshotServer({
    ...{ clock, random, log, region },
    schemaHash: schema.hash,
    durable: () => wal.durable,
    keysForgottenMs: () => wal.keysForgottenMs,
    partitioned: () => drill.partitioned,
    copy: () => options.home.copy(),
    onServed: counters.snapshotServed,
  });
  const receiver: Receiver = createStreamReceiver({
    ...{ clock, log, stream, wal, ingest, regions, enabled },
    onGap: () => repair.nudge(),
    onFatal,
    onSubscribed: counters.subscribed,
  });
  const readiness: Readiness = createReadiness({
    log,
    peers,
    startedEmpty,
    applied: () => apply.applied,
    onReady: () => {
      log.info('ready');
      markCaughtUp(wal, log).catch(onFatal);
    },
  });

  const storageLimit = createStorageLimit({ clock, store: options.store, limitBytes: options.logMaxBytes, region });
  const writeBlocker = (): Refusal | undefined => {
    if (!readiness.ready) return new Refusal('not_ready', `${region} is still catching up with its peers`);
    return storageLimit() ?? clockCheck.writeBlocker;
  };
  const role: Role = createLeadershipRole({
    ...{ clock, random, log, region, wal, control, stream, peers, writeBlocker, onFatal },
    drain: () => intake.drain(),
    regions: [region, ...links.map((link) => link.region)],
    onRefused: counters.controlValueRefused,
  });
  const intake: Intake = createGroupCommit({
    ...{ clock, random, log, region, schema, wal, apply, ship, onFatal },
    gate: (epoch) => role.gate(epoch),
    keyRefusal: createKeyLimit({
      ...{ clock, wal, region },
      limit: options.idempotencyKeysLimit,
      storeLimitBytes: options.logMaxBytes,
    }),
    queueLimit: options.intakeQueueLimit,
    queueLimitBytes: options.intakeQueueBytes,
    onCommit: counters.committed,
    onReplayed: counters.replayed,
    onKeyConflict: counters.keyConflict,
  });

  const stepDown = new StepDown({ clock, log, region, role, peers, stream, partitioned: () => drill.partitioned });
  const { lagEvents, lagSeconds } = lagBehindLeader({ role, peers, apply });

  const status = (): RegionStatus =>
    describeRegion({
      ...{ region, clock, wal, stream, schema, role, ingest, apply, ship, catalog, vectors, drill, disks, stepDown },
      ready: readiness.ready,
      snapshot: bootstrap,
      schemaBehind: bootstrap.schemaBehind,
      indexing: recovered.indexing,
      writeBlocker: writeBlocker() ?? room.refusal,
      streamSettings: settings.findings,
    });

  const surface: RegionSurface = {
    region,
    intake,
    role,
    apply,
    wal,
    entities,
    catalog,
    filterIndex,
    text,
    rank,
    search,
    cursors: createCursors({ secret: options.cursorSecret ?? '', schemaHash: schema.hash }),
    snapshots,
    maxBodyBytes: options.maxBodyBytes,
    bodies: new BodyBudget({ limitBytes: options.maxBodiesBytes, metrics }),
    ready: () => readiness.ready,
    draining: () => stepDown.draining,
    indexing: recovered.indexing,
    partitioned: () => drill.partitioned,
    drain: (limitMs) => drain({ clock, stream, receiver }, limitMs),
    setPartitioned: (partitioned, healAfterMs) => drill.set(partitioned, healAfterMs),
    retireDisk: (id) => disks.retire(id),
    async setAside(range) {
      await setAside(wal, range, apply.applied);
      // Batches that were refused for this reason may be acceptable now.
      ingest.release(range.origin);
      repair.nudge();
    },
    status,
    digest: () => ({ region, position: formatPosition(apply.applied), digest: digestOf(catalog, ledger) }),
    digests: () => ({
      ...{ region, schemaHash: schema.hash, quarantined: wal.quarantine.text },
      ...keptDigest.watch(DIGESTS_LIMIT),
    }),
    lagEvents,
    nowMs,
    onRouterClock: (heard) => clockCheck.heard(heard),
  };
  registerRegionGauges(metrics, {
    appliedEvents: () => totalOf(apply.applied),
    durableEvents: () => totalOf(wal.durable),
    lagEvents: () => lagEvents() ?? 0,
    lagSeconds,
    offset: () => wal.offset?.sequence ?? 0,
    streamConnected: () => stream.connected,
    epoch: () => role.leadership?.epoch ?? 0,
    leads: () => role.leads,
    accepting: () =>
      role.leads && room.refusal === undefined && !(role.gate(role.leadership?.epoch ?? 0) instanceof Refusal),
    partitioned: () => drill.partitioned,
    ready: () => readiness.ready,
    stoppedOrigins: () => ingest.stopped.size,
    schemaBehind: () => bootstrap.schemaBehind !== undefined,
    storeUsedBytes: () => options.store.sizes().usedBytes,
    storeFreeBytes: () => options.store.sizes().freeBytes,
    storeLimitBytes: () => options.logMaxBytes,
    logBytes: () => wal.batchBytes,
    checkpointBehind: () => checkpoint.behind,
    checkpointAgeSeconds: () =>
      checkpoint.checkpointedMs === 0 ? 0 : Math.max(0, clock.nowMs() - checkpoint.checkpointedMs) / 1_000,
    intakeWaiting: () => intake.waiting,
    intakeWaitingBytes: () => intake.waitingBytes,
    unshipped: () => ship.unshipped,
    items: () => catalog.size,
    failedIndexes: () => [recovered.indexing.failed, vectors.stats.failed].filter((why) => why !== undefined).length,
    itemsIndexed: () => (recovered.indexing.complete ? catalog.size : recovered.indexing.indexed),
    ledgerPairs: () => ledger.pairs,
    idempotencyKeys: () => ({ known: wal.keys, bytes: wal.keyBytes, limit: options.idempotencyKeysLimit }),
    positionWaits: () => apply.waiting,
    disks: () => disks.known.length,
    unreportedDisks: () => unreportedDisks(disks.known, clock.nowMs()),
    logAheadSeconds: () => logAheadMs(wal, clock.nowMs()) / 1_000,
    clockOffsetSeconds: () => clockCheck.largestOffsetMs / 1_000,
    snapshotBytes: () => bootstrap.progress?.bytes ?? 0,
    snapshotOfBytes: () => bootstrap.progress?.of ?? 0,
  });

  return {
    app: createRegionApp({ log, metrics, clock, random, limits: options.httpLimits, surface }),
    start() {
      vectors.start();
      peers.start();
      role.start();
      ship.start();
      receiver.start();
      repair.start();
      bootstrap.start();
      drill.start();
      heartbeat?.start();
      for (const work of background) work.start();
    },
    stepDown,
    async stop() {
      await intake.stop();
      keptDigest.stop();
      await Promise.all([drill.stop(), heartbeat?.stop()]);
      await Promise.all([
        role.stop(),
        repair.stop(),
        receiver.stop(),
        peers.stop(),
        bootstrap.stop(),
        snapshots.stop(),
        vectors.stop(),
      ]);
      await Promise.all([ship.stop(), ...background.map((work) => work.stop())]);
      await wal.close();
    },
  };
}
