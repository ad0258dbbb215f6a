/** The region's metrics: one table of names, units and meanings (`docs/runbook.md` shows it to operators). */
import type { Metrics } from '../../shared/observe/metrics.ts';
import { refusedFor } from './receive/receive.ts';

/** The values that the gauges read at each scrape. */
export interface RegionReadings {
  appliedEvents(): number;
  durableEvents(): number;
  lagEvents(): number;
  lagSeconds(): number;
  offset(): number;
  streamConnected(): boolean;
  epoch(): number;
  leads(): boolean;
  accepting(): boolean;
  partitioned(): boolean;
  ready(): boolean;
  stoppedOrigins(): number;
  schemaBehind(): boolean;
  storeUsedBytes(): number;
  storeFreeBytes(): number;
  storeLimitBytes(): number;
  logBytes(): number;
  checkpointBehind(): number;
  checkpointAgeSeconds(): number;
  intakeWaiting(): number;
  intakeWaitingBytes(): number;
  /** Undefined: not known. */
  unshipped(): number | undefined;
  items(): number;
  itemsIndexed(): number;
  failedIndexes(): number;
  ledgerPairs(): number;
  idempotencyKeys(): { readonly known: number; readonly bytes: number; readonly limit: number };
  positionWaits(): number;
  disks(): number;
  unreportedDisks(): number;
  clockOffsetSeconds(): number;
  logAheadSeconds(): number;
  snapshotBytes(): number;
  snapshotOfBytes(): number;
}

export interface RegionCounters {
  committed(commit: { readonly events: number; readonly durationMs: number }): void;
  shipped(shipped: { readonly events: number; readonly bytes: number; readonly durationMs: number }): void;
  applied(events: number): void;
  repaired(events: number): void;
  refused(reason: string): void;
  subscribed(): void;
  replayed(writes: number): void;
  keyConflict(): void;
  snapshotServed(bytes: number): void;
  snapshotReceived(bytes: number): void;
  snapshotRefused(): void;
  checkpointed(pass: { readonly durationMs: number }): void;
  trimmed(events: number): void;
  keysForgotten(keys: number): void;
  controlValueRefused(): void;
  streamSettingChanged(): void;
}

const groupSizes = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

export function createRegionCounters(metrics: Metrics): RegionCounters {
  const commitEvents = metrics.histogram({
    name: 'tidal_group_commit_events',
    help: 'Events of one group commit.',
    buckets: groupSizes,
  });
  const commitSeconds = metrics.histogram({
    name: 'tidal_group_commit_duration_seconds',
    help: 'Time of one group commit, flush included.',
  });
  const shippedEvents = metrics.counter({
    name: 'tidal_shipped_events_total',
    help: 'Own events the stream acknowledged.',
  });
  const shippedBytes = metrics.counter({ name: 'tidal_shipped_bytes_total', help: 'Bytes the stream acknowledged.' });
  const shipSeconds = metrics.histogram({
    name: 'tidal_ship_duration_seconds',
    help: 'Time from a publish to its acknowledgement.',
  });
  const applied = metrics.counter({
    name: 'tidal_applied_events_total',
    help: 'Events applied to the state since the process started, recovery not counted.',
  });
  const refused = metrics.counter({
    name: 'tidal_refused_batches_total',
    help: 'Messages of the stream, or batches of peers, that were not taken because of what they held, by reason.',
    labels: ['reason'],
  });
  // Series with label values are created at the start, because a rate needs an earlier sample.
  for (const reason of refusedFor) refused.inc({ reason }, 0);
  const repaired = metrics.counter({ name: 'tidal_repaired_events_total', help: 'Events fetched from a peer.' });
  const subscriptions = metrics.counter({
    name: 'tidal_stream_subscriptions_total',
    help: 'Subscriptions to the stream since the start.',
  });
  const replays = metrics.counter({
    name: 'tidal_idempotency_replays_total',
    help: 'Writes answered as the first write under their idempotency key was.',
  });
  const conflicts = metrics.counter({
    name: 'tidal_idempotency_conflicts_total',
    help: 'Requests refused because their idempotency key was used for another write.',
  });
  const served = metrics.counter({
    name: 'tidal_snapshot_served_bytes_total',
    help: 'Bytes of snapshots that others fetched here.',
  });
  const received = metrics.counter({
    name: 'tidal_snapshot_received_bytes_total',
    help: 'Bytes of snapshots fetched from peers.',
  });
  const refusedSnapshots = metrics.counter({
    name: 'tidal_snapshots_refused_total',
    help: 'Snapshots of peers that were not taken because of what they hold.',
  });
  const checkpointSeconds = metrics.histogram({
    name: 'tidal_checkpoint_duration_seconds',
    help: 'Time of one finished checkpoint, pauses included.',
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300],
  });
  const trimmed = metrics.counter({
    name: 'tidal_trimmed_events_total',
    help: 'Events whose batches were trimmed from the log.',
  });
  const forgotten = metrics.counter({
    name: 'tidal_idempotency_keys_forgotten_total',
    help: 'Idempotency keys forgotten because their seven days were over.',
  });
  const refusedValues = metrics.counter({
    name: 'tidal_control_values_refused_total',
    help: 'Readings of a leadership record, in the key, on the disk or reported by a peer, that was refused.',
  });
  const settings = metrics.counter({
    name: 'tidal_stream_settings_changed_total',
    help: 'Settings of the stream or the control bucket found changed by somebody.',
  });
  return {
    committed({ events, durationMs }) {
      commitEvents.observe(events);
      commitSeconds.observe(durationMs / 1_000);
    },
    shipped({ events, bytes, durationMs }) {
      shippedEvents.inc(events);
      shippedBytes.inc(bytes);
      shipSeconds.observe(durationMs / 1_000);
    },
    applied: (events) => applied.inc(events),
    repaired: (events) => repaired.inc(events),
    refused: (reason) => refused.inc({ reason }),
    subscribed: () => subscriptions.inc(),
    replayed: (writes) => replays.inc(writes),
    keyConflict: () => conflicts.inc(),
    snapshotServed: (bytes) => served.inc(bytes),
    snapshotReceived: (bytes) => received.inc(bytes),
    snapshotRefused: () => refusedSnapshots.inc(),
    checkpointed: ({ durationMs }) => checkpointSeconds.observe(durationMs / 1_000),
    trimmed: (events) => trimmed.inc(events),
    keysForgotten: (keys) => forgotten.inc(keys),
    controlValueRefused: () => refusedValues.inc(),
    streamSettingChanged: () => settings.inc(),
  };
}

export function registerRegionGauges(metrics: Metrics, read: RegionReadings): void {
  const gauge = (name: string, help: string, value: () => number): void => {
    metrics.gauge({ name, help, collect: (target) => target.set(value()) });
  };
  gauge('tidal_applied_position_events', 'Events the state contains, over all origins.', read.appliedEvents);
  gauge('tidal_durable_position_events', 'Events flushed in the log, over all origins.', read.durableEvents);
  gauge('tidal_lag_events', 'Events the leader has applied and this region has not.', read.lagEvents);
  gauge(
    'tidal_lag_seconds',
    'Age difference of the newest applied events of the leader and this region.',
    read.lagSeconds,
  );
  gauge('tidal_stream_offset', 'Stream sequence up to which everything is applied.', read.offset);
  gauge('tidal_stream_connected', '1 while the connection to NATS stands.', () => Number(read.streamConnected()));
  gauge('tidal_epoch', 'The leadership epoch this region knows.', read.epoch);
  gauge('tidal_leader', '1 while this region is the leader.', () => Number(read.leads()));
  gauge('tidal_accepting', '1 while this region is the leader and takes writes.', () => Number(read.accepting()));
  gauge('tidal_partitioned', '1 while a drill partitions this region.', () => Number(read.partitioned()));
  gauge('tidal_ready', '1 once this region serves as truth.', () => Number(read.ready()));
  gauge('tidal_stopped', '1 while something a peer holds cannot be taken here: schema behind, damaged log.', () =>
    Number(read.stoppedOrigins() > 0 || read.schemaBehind()),
  );
  gauge('tidal_stopped_origins', 'Origins of which a peer holds more that cannot be taken here.', read.stoppedOrigins);
  gauge('tidal_store_used_bytes', 'Size of the LMDB file.', read.storeUsedBytes);
  gauge('tidal_store_free_bytes', 'Bytes of the LMDB file that are free for reuse.', read.storeFreeBytes);
  gauge('tidal_store_limit_bytes', 'Size the LMDB file may grow to, as configured.', read.storeLimitBytes);
  gauge('tidal_log_bytes', 'Bytes the batches of the log take on disk.', read.logBytes);
  gauge(
    'tidal_checkpoint_behind_events',
    'Events applied since the last checkpoint: what a start would replay.',
    read.checkpointBehind,
  );
  gauge(
    'tidal_checkpoint_age_seconds',
    'Time since the last checkpoint began; 0 before the first.',
    read.checkpointAgeSeconds,
  );
  gauge('tidal_intake_waiting_events', 'Events waiting for their group commit.', read.intakeWaiting);
  gauge('tidal_intake_waiting_bytes', 'Bytes of those, as they will be logged.', read.intakeWaitingBytes);
  metrics.gauge({
    name: 'tidal_unshipped_events',
    help: 'Own durable events the stream has not acknowledged; absent after a start until the stream was asked.',
    collect(gauge) {
      const events = read.unshipped();
      if (events === undefined) gauge.remove();
      else gauge.set(events);
    },
  });
  gauge('tidal_items', 'Live items.', read.items);
  gauge('tidal_items_indexed', 'Live items that filters and search know.', read.itemsIndexed);
  gauge('tidal_failed_indexes', 'Indexes that cannot be read until the region is started again.', read.failedIndexes);
  gauge('tidal_ledger_pairs', '(item, signal) pairs with at least one event.', read.ledgerPairs);
  gauge('tidal_idempotency_keys', 'Idempotency keys the log knows.', () => read.idempotencyKeys().known);
  gauge('tidal_idempotency_keys_bytes', 'Bytes they take in the store.', () => read.idempotencyKeys().bytes);
  gauge('tidal_idempotency_keys_limit', 'Idempotency keys it may know.', () => read.idempotencyKeys().limit);
  gauge('tidal_position_waits', 'Requests that wait for a position to be applied here.', read.positionWaits);
  gauge('tidal_disks', 'Disks of other regions in the account, retired ones included.', read.disks);
  gauge(
    'tidal_disks_unreported',
    'Disks that were not retired, and of which nothing was known for a day: they hold back the forgetting of idempotency keys.',
    read.unreportedDisks,
  );
  gauge(
    'tidal_clock_offset_seconds',
    'Largest distance of a reachable peer’s clock from this one.',
    read.clockOffsetSeconds,
  );
  gauge(
    'tidal_log_ahead_seconds',
    'How far the latest acceptance time in the log is ahead of this region’s clock.',
    read.logAheadSeconds,
  );
  gauge(
    'tidal_snapshot_bytes',
    'Bytes that are here of the snapshot being fetched; 0 while none is.',
    read.snapshotBytes,
  );
  gauge('tidal_snapshot_size_bytes', 'Size of the snapshot being fetched; 0 while none is.', read.snapshotOfBytes);
}
