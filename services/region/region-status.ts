/** A region's status, computed from its parts. */
import { Refusal } from '../../shared/errors/errors.ts';
import type { Clock } from '../../shared/kernel/kernel.ts';
import { isUnsound, parseRemembered } from '../../shared/leadership/leadership.ts';
import type { Metrics } from '../../shared/observe/metrics.ts';
import { BATCH_LIMIT_BYTES } from '../../shared/protocol/events.ts';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { formatPosition, missing, type Position, totalOf } from '../../shared/protocol/position.ts';
import { OWN_VERSION } from '../../shared/protocol/version.ts';
import type { ReportedStatus } from '../../shared/region-client/reported-status.ts';
import type { Stream } from '../../shared/stream/stream.ts';
import type { Apply } from './apply/apply.ts';
import type { Disks } from './checkpoint/checkpoint.ts';
import { logAheadMs, UNSAFE_MS } from './clocks/clocks.ts';
import type { Role } from './leadership/leadership.ts';
import { mendedOf } from './mended/mended.ts';
import type { Peers } from './peers/peers.ts';
import type { Ingest } from './receive/receive.ts';
import type { Schema } from './schema/schema.ts';
import type { Ship } from './ship/ship.ts';
import type { Bootstrap } from './snapshot/snapshot.ts';
import type { Catalog } from './state/catalog/catalog.ts';
import type { Vectors } from './state/vectors/vectors.ts';
import type { Wal } from './wal/wal.ts';

/** Names of stopped origins in a status. */
const STOPPED_SHOWN = 16;

export interface StatusParts {
  readonly region: string;
  readonly clock: Clock;
  readonly startedMs: number;
  readonly wal: Wal;
  readonly stream: Stream;
  readonly schema: Schema;
  readonly role: Role;
  readonly ingest: Ingest;
  readonly apply: Apply;
  readonly ship: Ship;
  readonly catalog: Catalog;
  readonly vectors: Pick<Vectors, 'stats'>;
  readonly partition: { readonly partitioned: boolean; readonly healAtMs: number | undefined };
  readonly disks: Pick<Disks, 'own' | 'known'>;
  readonly ready: boolean;
  /** Problems; see `RegionStatus`. */
  readonly streamSettings: readonly string[];
  /** Why filters and search cannot be answered. */
  readonly indexing: { readonly failed: string | undefined };
  readonly snapshot: Pick<Bootstrap, 'progress' | 'obstacle'>;
  /** Why no peer's snapshot can be installed here. */
  readonly schemaBehind: Bootstrap['schemaBehind'];
  readonly stepDown: { readonly draining: boolean; readonly writeBlocker: Refusal | undefined };
  /** Why it would refuse a write now. */
  readonly writeBlocker: Refusal | undefined;
}

export function describeRegion(parts: StatusParts): RegionStatus {
  const { role, ingest, apply, wal, stream, partition, disks, snapshot, schema, stepDown } = parts;
  const writeBlocker = parts.writeBlocker ?? stepDown.writeBlocker;
  const { scanOnly, failed } = parts.vectors.stats;
  const failedIndexes = [parts.indexing.failed, failed].filter((why) => why !== undefined);
  const clockMs = parts.clock.nowMs();
  const aheadMs = logAheadMs(wal, clockMs);
  const mended = mendedOf(wal.mark('mended'));
  return {
    region: parts.region,
    role: role.leads ? 'leader' : 'follower',
    ready: parts.ready,
    ...(role.remembered === undefined ? {} : { leadership: role.remembered }),
    partitioned: partition.partitioned,
    ...(partition.healAtMs === undefined ? {} : { healAtMs: partition.healAtMs }),
    durable: formatPosition(wal.durable),
    applied: formatPosition(apply.applied),
    offset: wal.offset?.sequence ?? 0,
    streamConnected: stream.connected,
    ...(stream.connected && stream.messageLimitBytes < BATCH_LIMIT_BYTES
      ? { streamLimitBytes: stream.messageLimitBytes }
      : {}),
    ...(parts.streamSettings.length === 0 ? {} : { streamSettings: parts.streamSettings }),
    unshipped: parts.ship.unshipped ?? null,
    items: parts.catalog.size,
    clockMs,
    startedMs: parts.startedMs,
    newestMs: apply.newestMs,
    ...(aheadMs > UNSAFE_MS ? { logAheadMs: aheadMs } : {}),
    ...(mended === undefined ? {} : { mended: { count: mended.count, id: mended.id } }),
    ...stoppedIn(parts),
    ...(ingest.refused === undefined ? {} : { refused: ingest.refused }),
    ...(snapshot.progress === undefined ? {} : { snapshot: snapshot.progress }),
    ...(snapshot.obstacle === undefined ? {} : { snapshotObstacle: snapshot.obstacle }),
    ...(writeBlocker === undefined ? {} : { writeBlocker: { code: writeBlocker.code, detail: writeBlocker.message } }),
    ...(stepDown.draining ? { draining: true as const } : {}),
    ...(scanOnly === undefined ? {} : { scanOnly }),
    ...(failedIndexes.length === 0 ? {} : { failedIndexes }),
    ...refusesAsLeader(parts),
    ...(role.refused.length === 0 ? {} : { refusedValues: role.refused }),
    ...newestEpoch(wal, role.knownEpoch),
    version: OWN_VERSION,
    ...(disks.own === undefined ? {} : { disk: disks.own }),
    disks: disks.known,
    ...(wal.quarantine.text === '' ? {} : { quarantined: wal.quarantine.text }),
    schemaHash: schema.hash,
    signals: [...schema.signals.keys()],
  };
}

/**
 * The status of a region that cannot build its state, because an event of its log cannot be applied (`recover/unappliable.ts`).
 */
export function describeBlocked(options: {
  readonly region: string;
  readonly clock: Clock;
  readonly wal: Wal;
  readonly schema: Schema;
  /** The position of the stored checkpoint. */
  readonly contained: Position;
  readonly origin: string;
  readonly detail: string;
}): RegionStatus {
  const { region, clock, wal, schema, contained, origin, detail } = options;
  const remembered = parseRemembered(wal.mark('leadership'), wal.credibleEpoch);
  const leadership = isUnsound(remembered) ? undefined : remembered;
  return {
    region,
    role: 'follower',
    ready: false,
    ...(leadership === undefined ? {} : { leadership }),
    partitioned: (wal.mark('cut') ?? false) !== false,
    durable: formatPosition(wal.durable),
    // The position that its state would contain for certain.
    applied: formatPosition(contained),
    offset: wal.offset?.sequence ?? 0,
    streamConnected: false,
    unshipped: null,
    items: 0,
    clockMs: clock.nowMs(),
    newestMs: 0,
    stopped: { code: 'unappliable_event', detail, origins: [origin] },
    writeBlocker: { code: 'not_ready', detail },
    ...newestEpoch(wal, wal.credibleEpoch),
    version: OWN_VERSION,
    ...(wal.quarantine.text === '' ? {} : { quarantined: wal.quarantine.text }),
    schemaHash: schema.hash,
    signals: [...schema.signals.keys()],
  };
}

/** The reason of the origin that stopped first, and the names of all. */
function stoppedIn({ ingest, schemaBehind }: StatusParts): Pick<RegionStatus, 'stopped'> {
  const [first] = ingest.stopped.values();
  const origins = [...ingest.stopped.keys()].slice(0, STOPPED_SHOWN);
  if (first !== undefined) return { stopped: { code: first.code, detail: first.detail, origins } };
  return schemaBehind === undefined ? {} : { stopped: { code: 'schema_behind', detail: schemaBehind, origins } };
}

function refusesAsLeader({ role, writeBlocker }: StatusParts): Pick<RegionStatus, 'refuses'> {
  if (!role.leads || role.leadership === undefined) return {};
  const gate = role.gate(role.leadership.epoch);
  const refusal = gate instanceof Refusal ? gate : writeBlocker;
  return refusal === undefined ? {} : { refuses: { code: refusal.code, detail: refusal.message } };
}

function newestEpoch(wal: Wal, knownEpoch: number): Pick<RegionStatus, 'newestEpoch'> {
  let newest: RegionStatus['newestEpoch'];
  for (const { epoch, last } of wal.origins()) {
    if (epoch > knownEpoch) continue;
    if (newest === undefined || epoch > newest.epoch) newest = { epoch, events: last };
    else if (epoch === newest.epoch) newest = { epoch, events: newest.events + last };
  }
  return newest === undefined ? {} : { newestEpoch: newest };
}

export interface LagOptions {
  readonly role: Role;
  readonly peers: Peers;
  readonly apply: Apply;
  readonly metrics: Metrics;
}

/** How far this region is behind the leader, by the leader's last report: 0 for the leader by definition. */
export function lagBehindLeader({ role, peers, apply, metrics }: LagOptions): {
  /** Undefined before the leader's first report. */
  lagEvents(): number | undefined;
} {
  const leaderStatus = (): ReportedStatus | undefined => {
    const leader = role.leadership?.leader;
    return leader === undefined ? undefined : peers.views.get(leader)?.status;
  };
  // Every read returns the lag, and computing it visits all origins: it is recomputed only if one of the two positions has
  // changed.
  let counted: { readonly leader: Position; readonly here: number; readonly lag: number } | undefined;
  const lagEvents = (): number | undefined => {
    if (role.leads) return 0;
    const leader = leaderStatus()?.applied;
    if (leader === undefined) return undefined;
    const here = totalOf(apply.applied);
    if (counted?.leader !== leader || counted.here !== here) {
      counted = { leader, here, lag: missing(leader, apply.applied) };
    }
    return counted.lag;
  };
  metrics.gauge({
    name: 'tidal_lag_events',
    help: 'Events the leader has applied and this region has not.',
    read: () => lagEvents() ?? 0,
  });
  metrics.gauge({
    name: 'tidal_lag_seconds',
    help: 'Age difference of the newest applied events of the leader and this region.',
    read: () => ((lagEvents() ?? 0) === 0 ? 0 : Math.max(0, (leaderStatus()?.newestMs ?? 0) - apply.newestMs) / 1_000),
  });
  return { lagEvents };
}
