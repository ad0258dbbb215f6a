/** Upkeep: what keeps disk, log and stream in order while writes continue; and snapshots, served and fetched. */

import type { Stages } from '../../../shared/kernel/parts.ts';
import type { Position } from '../../../shared/protocol/position.ts';
import type { Checkpoint, Disks } from '../checkpoint/checkpoint.ts';
import { createCheckpointer } from '../checkpoint/checkpointer.ts';
import { createDiskAccount } from '../checkpoint/disk-account.ts';
import { createKeySweep } from '../checkpoint/key-sweep.ts';
import { createTrimmer } from '../checkpoint/trimmer.ts';
import { describeSchema } from '../compatible/compatible.ts';
import { requireAccepted } from '../region-directory.ts';
import type { RegionOptions } from '../region-options.ts';
import { BatchRestorer } from '../repair/restore-batches.ts';
import { SettingsWatch } from '../ship/settings-watch.ts';
import { createBootstrap } from '../snapshot/bootstrap.ts';
import type { Bootstrap, SnapshotServer } from '../snapshot/snapshot.ts';
import { createSnapshotServer } from '../snapshot/snapshot-server.ts';
import { openLog } from '../wal/log.ts';
import type { Wal } from '../wal/wal.ts';
import type { Replication } from './replication.ts';
import type { State } from './state.ts';

export interface UpkeepOptions
  extends Pick<
    RegionOptions,
    | ('region' | 'clock' | 'random' | 'log' | 'metrics' | 'schema' | 'stream' | 'links' | 'regions' | 'onFatal')
    | ('turns' | 'schemaFile' | 'home' | 'onArrived' | 'snapshotsNotBeforeMs')
    | ('logRetentionBytes' | 'checkpointEvents' | 'checkpointIntervalMs')
  > {
  readonly wal: Wal;
  readonly state: State;
  readonly replication: Replication;
  /** This region started empty, and no snapshot was installed since. */
  readonly startedEmpty: boolean;
}

export interface Upkeep {
  readonly checkpoint: Checkpoint;
  readonly disks: Disks;
  readonly settings: SettingsWatch;
  readonly snapshots: SnapshotServer;
  readonly bootstrap: Bootstrap;
  readonly stages: Stages;
}

export function assembleUpkeep(options: UpkeepOptions): Upkeep {
  const { region, regions, clock, random, log, schema, schemaFile, wal, stream, links, metrics, turns, onFatal } =
    options;
  const { apply, ledger, recovered } = options.state;
  const { peers, partition, role, readiness, repair } = options.replication;
  const applied = (): Position => apply.applied;

  const checkpoint = createCheckpointer({
    ...{ clock, log, metrics, turns, wal, ledger, applied, onFatal },
    checkpointPosition: recovered.checkpointPosition,
    eventsLimit: options.checkpointEvents,
    intervalMs: options.checkpointIntervalMs,
  });
  const checkpointPosition = (): Position => checkpoint.checkpointPosition;
  const snapshots = createSnapshotServer({
    ...{ clock, random, log, metrics, turns, region, schemaHash: schema.hash },
    durable: () => wal.durable,
    keysForgottenMs: () => wal.keysForgottenMs,
    partitioned: () => partition.partitioned,
    copy: () => options.home.copy(),
  });
  const trim = createTrimmer({
    ...{ clock, log, metrics, turns, wal, peers, checkpointPosition, onFatal },
    needed: () => snapshots.needed,
    retentionBytes: options.logRetentionBytes,
  });
  const disks = createDiskAccount({
    ...{ clock, random, log, metrics, region, wal, peers, applied },
    others: links.map((link) => link.region),
  });
  const keySweep = createKeySweep({
    ...{ clock, log, metrics, turns, wal, disks, checkpointPosition, onFatal },
  });
  const settings = new SettingsWatch({
    ...{ clock, log, metrics, stream },
    mends: () => role.leads,
  });
  const bootstrap = createBootstrap({
    ...{ clock, log, metrics, peers, links, wal, regions },
    leads: () => role.leads,
    openLog: (store) => openLog({ store }),
    incoming: (id, bytes) => options.home.incoming(id, bytes),
    startedEmpty: options.startedEmpty,
    ready: () => readiness.ready,
    notBeforeMs: options.snapshotsNotBeforeMs ?? 0,
    hindered: () => partition.partitioned,
    requireSchema: (copy) => requireAccepted(copy, schema, schemaFile),
    schema: describeSchema(schema),
    knownEpoch: () => role.knownEpoch,
    onReleased: () => repair.nudge(),
    onArrived: options.onArrived,
  });
  repair.deferTo(bootstrap);
  const restorer = new BatchRestorer({
    ...{ clock, log, metrics, wal, links, onFatal },
    partitioned: () => partition.partitioned,
  });

  const stages = [
    [checkpoint, trim, keySweep, settings, restorer],
    [bootstrap, snapshots],
  ];
  return { checkpoint, disks, settings, snapshots, bootstrap, stages };
}
