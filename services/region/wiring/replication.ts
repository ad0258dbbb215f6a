/**
 * Replication: the path of a write from the intake through the log to every other region, and who may take it.
 *
 *     intake → log → apply → ship → stream → receiver ┐
 *                              peers → repair ────────┴→ ingest → log → apply, in every other region
 */

import type { Refusal } from '../../../shared/errors/errors.ts';
import type { Stages } from '../../../shared/kernel/parts.ts';
import { epochRefusal } from '../../../shared/leadership/epochs.ts';
import { hlcRefusal } from '../../../shared/protocol/events.ts';
import { regionOf } from '../../../shared/protocol/position.ts';
import { retractionRefusal } from '../../../shared/protocol/version.ts';
import { StatusPoller } from '../../../shared/region-client/status-poller.ts';
import type { Apply } from '../apply/apply.ts';
import { ClockCheck } from '../clocks/clocks.ts';
import { Heartbeat } from '../heartbeat/heartbeat.ts';
import { createGroupCommit, type GroupCommitOptions } from '../intake/group-commit.ts';
import type { Intake } from '../intake/intake.ts';
import type { PatchedItems } from '../intake/item-patches.ts';
import type { StateLimit } from '../intake/state-limit.ts';
import type { Role } from '../leadership/leadership.ts';
import { createLeadershipRole } from '../leadership/leadership-role.ts';
import { createPartitionSwitch, type PartitionSwitch } from '../partition/partition.ts';
import type { Peers } from '../peers/peers.ts';
import { createReadiness, type Readiness } from '../readiness/readiness.ts';
import { createIngest } from '../receive/ingest.ts';
import type { Gap, Ingest, Receiver, Stopped } from '../receive/receive.ts';
import { createStreamReceiver } from '../receive/stream-receiver.ts';
import type { RegionOptions } from '../region-options.ts';
import { createPeerRepair } from '../repair/peer-repair.ts';
import type { Repair } from '../repair/repair.ts';
import { lowestAtPeers } from '../ship/lowest-at-peers.ts';
import type { Ship } from '../ship/ship.ts';
import { createShipper } from '../ship/shipper.ts';
import type { Wal } from '../wal/wal.ts';

export interface ReplicationOptions
  extends Pick<
    RegionOptions,
    | ('region' | 'clock' | 'random' | 'log' | 'metrics' | 'schema' | 'stream' | 'links' | 'regions' | 'onFatal')
    | ('turns' | 'nextTurn' | 'receiveLimits' | 'control' | 'alive' | 'internalKeys')
    | ('intakeQueueLimit' | 'intakeQueueBytes')
  > {
  readonly wal: Wal;
  readonly apply: Apply;
  /** The topology's regions: one of them leads. */
  readonly members: readonly string[];
  /** See `createReadiness`. */
  readonly startedEmpty: boolean;
  /** Why no writes are accepted now, besides what the role knows. */
  readonly writeBlocker: (known: {
    readonly readiness: Readiness;
    readonly clockCheck: ClockCheck;
  }) => Refusal | undefined;
  /** Why no writes under new keys are accepted now; absent: there is no limit. */
  readonly keyRefusal?: (() => Refusal | undefined) | undefined;
  readonly clientKeys?: GroupCommitOptions['clientKeys'];
  /** Absent: there is no limit. */
  readonly stateLimit?: StateLimit | undefined;
  /** What patches are merged with. */
  readonly items: PatchedItems;
  readonly onReady?: () => void;
  readonly onGap?: (gap: Gap) => void;
  readonly onStopped?: (stopped: Stopped) => void;
}

export interface Replication {
  readonly peers: Peers;
  readonly readiness: Readiness;
  readonly clockCheck: ClockCheck;
  readonly partition: PartitionSwitch;
  readonly role: Role;
  readonly ship: Ship;
  readonly ingest: Ingest;
  readonly repair: Repair;
  readonly receiver: Receiver;
  readonly intake: Intake;
  /** Why this region accepts no writes now, besides what the role knows. */
  readonly writeBlocker: () => Refusal | undefined;
  readonly stages: Stages;
}

export function assembleReplication(options: ReplicationOptions): Replication {
  const { region, regions, clock, random, log, metrics, schema, wal, apply, stream, control, alive, links, onFatal } =
    options;
  const { internalKeys } = options;

  const peers = new StatusPoller({ clock, clients: links, pace: 'rounds' });
  const readiness = createReadiness({
    ...{ log, metrics, peers, startedEmpty: options.startedEmpty },
    applied: () => apply.applied,
    onReady: () => options.onReady?.(),
  });
  const clockCheck = new ClockCheck({ clock, region, peers, metrics });
  const writeBlocker = (): Refusal | undefined => options.writeBlocker({ readiness, clockCheck });
  const partition = createPartitionSwitch({ clock, log, metrics, wal, onFatal });
  const { turns, receiveLimits: limits, nextTurn = (action) => clock.after(0, action) } = options;
  const enabled = !partition.partitioned;
  const role = createLeadershipRole({
    ...{ clock, random, log, metrics, region, wal, control, stream, peers, writeBlocker, onFatal },
    regions: options.members,
  });
  const heartbeat =
    alive && new Heartbeat({ clock, log, region, key: alive, partitioned: () => partition.partitioned });

  const ship = createShipper({
    ...{ clock, log, metrics, region, wal, stream, internalKeys, enabled },
    startOf: (origin) => lowestAtPeers(peers, origin),
  });
  const ingest = createIngest({
    ...{ clock, nextTurn, limits, log, metrics, turns, wal, apply, schema, regions },
    receives: () => partition.receives,
    onStopped: (stopped) => options.onStopped?.(stopped),
    implausible: ({ origin, epoch, lastHlc }) =>
      hlcRefusal(lastHlc) ?? (wal.origin(origin) === undefined ? epochRefusal(epoch, role.knownEpoch) : undefined),
  });
  const repair = createPeerRepair({
    ...{ region, clock, nextTurn, limits, turns, log, metrics, wal, ingest, peers, links, enabled, onFatal },
  });
  const receiver = createStreamReceiver({
    ...{ clock, nextTurn, limits, log, metrics, turns, stream, wal, ingest, internalKeys, regions, enabled, onFatal },
    onGap: (gap) => {
      options.onGap?.(gap);
      repair.nudge();
    },
  });
  const intake = createGroupCommit({
    ...{ clock, random, log, metrics, turns, region, schema, wal, apply, ship, onFatal },
    gate: (epoch) => role.gate(epoch),
    keyRefusal: options.keyRefusal ?? (() => undefined),
    clientKeys: options.clientKeys,
    retractionRefusal() {
      for (const [peer, { status }] of peers.views) {
        const refusal = retractionRefusal(peer, status.version);
        if (refusal !== undefined) return refusal;
      }
      return undefined;
    },
    stateLimit: options.stateLimit,
    items: options.items,
    queueLimit: options.intakeQueueLimit,
    queueLimitBytes: options.intakeQueueBytes,
  });

  // Ports that are bound late, because the parts on both sides need each other.
  role.onHandover(() => intake.drain());
  apply.onApplied(({ origin }) => {
    // An own origin may also be fetched from a peer: this region ships it nevertheless.
    if (regionOf(origin) === region) ship.notify(origin);
  });
  partition.onSwitched(async (partitioned) => {
    repair.setEnabled(!partitioned);
    await Promise.all([ship.setEnabled(!partitioned), receiver.setEnabled(!partitioned)]);
    if (!partitioned) await peers.poll();
  });

  const stages = [
    [ship],
    [peers, role, receiver, repair],
    heartbeat === undefined ? [partition] : [partition, heartbeat],
    [{ stop: () => intake.stop() }],
  ];
  return {
    ...{ peers, readiness, clockCheck, partition, role, ship, ingest, repair, receiver, intake, writeBlocker, stages },
  };
}
