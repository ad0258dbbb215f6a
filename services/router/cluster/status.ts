/**
 * `/cluster/status` and `/health`: requested from every region, bounded by the link's time limit; a region that does not answer
 * is shown with its last known numbers.
 *
 * Formulas (docs/architecture.md, section 2): lag = Σ over origins of max(0, leader's applied − this region's), 0 for the leader;
 * relay_log_len = Σ of the leader's applied; ahead = events the region has and the leader lacks. Hence applied + lag =
 * relay_log_len + ahead.
 */

import type { Leadership } from '../../../shared/leadership/leadership.ts';
import { parseDisks } from '../../../shared/protocol/known-disks.ts';
import { formatPosition, missing, totalOf } from '../../../shared/protocol/position.ts';
import { PROGRAM_VERSION } from '../../../shared/protocol/version.ts';
import type { ReportedStatus } from '../../../shared/region-client/reported-status.ts';
import type { RegionView } from '../../../shared/region-client/status-poller.ts';
import type { Topology } from '../../../shared/topology/topology.ts';
import type {
  AbsentDisk,
  ClusterHealth,
  ClusterReports,
  ClusterStatus,
  LeadershipView,
  RegionReport,
  RegionsView,
} from './cluster.ts';

export interface ReportsOptions {
  readonly topology: Topology;
  readonly leadership: LeadershipView;
  readonly regions: RegionsView;
  readonly failover: 'manual' | 'automatic';
}

export function createReports({ topology, leadership, regions, failover }: ReportsOptions): ClusterReports {
  const names = topology.regions.map(({ name }) => name);

  /** The leader is asked last, so that no region appears ahead only because it was asked later. */
  const askAll = async (): Promise<ReadonlyMap<string, RegionView>> => {
    const leader = leadership.current?.leader;
    await Promise.all(names.filter((name) => name !== leader).map((name) => regions.ask(name)));
    if (leader !== undefined) await regions.ask(leader);
    const known = new Map<string, RegionView>();
    for (const name of names) {
      const region = regions.known(name);
      if (region !== undefined) known.set(name, region);
    }
    return known;
  };

  const statusOf = (known: ReadonlyMap<string, RegionView>): ClusterStatus => {
    const record = leadership.current;
    const leader = record === undefined ? undefined : known.get(record.leader);
    const offsets = [...known.values()].map((region) => region.status.offset);
    return {
      leader: record?.leader ?? null,
      relay_log_len: leader === undefined ? 0 : totalOf(leader.status.applied),
      regions: names.map((name) => reportOf(name, known.get(name), name === record?.leader, leader)),
      epoch: record?.epoch ?? null,
      stream: { connected: leader?.status.streamConnected ?? false, offset: Math.max(0, ...offsets) },
      failover,
      absent_disks: absentDisks([...known.values()]),
      version: PROGRAM_VERSION,
      ...(leader?.reachable === true ? {} : { stale: true as const }),
      ...(record?.handover === undefined ? {} : { handover: { to: record.handover.to } }),
    };
  };

  const healthOf = (known: ReadonlyMap<string, RegionView>): ClusterHealth => {
    const record = leadership.current;
    const leader = record === undefined ? undefined : known.get(record.leader);
    const all = [...known.values()].filter((region) => region.reachable);
    const notes: string[] = [];
    /** Notes for the operator that are not problems. */
    const remarks: string[] = [];
    for (const name of names) {
      const region = known.get(name);
      if (region?.reachable === true) notes.push(...doubtsOf(name, region.status));
      if (region?.reachable !== true) notes.push(regions.obstacle(name) ?? `${name} does not answer`);
      else if (region.status.draining === true) notes.push(`${name} is stopping`);
      else if (region.status.partitioned) notes.push(`${name} is partitioned`);
      else if (region.status.snapshotObstacle !== undefined)
        notes.push(`${name} needs a snapshot and cannot have one: ${region.status.snapshotObstacle}`);
      else if (!region.status.ready) notes.push(`${name} is not ready`);
      else if (region.status.refuses !== undefined)
        notes.push(`${name} leads and refuses writes: ${region.status.refuses.detail}`);
      else if (region.status.writeBlocker !== undefined)
        notes.push(`${name} would refuse writes: ${region.status.writeBlocker.detail}`);
      else if (!region.status.streamConnected) notes.push(`${name} is not connected to the stream`);
      else if (region.status.streamLimitBytes !== undefined) {
        const limit = `messages of at most ${region.status.streamLimitBytes} bytes`;
        notes.push(`${name}: the broker takes ${limit}; larger batches wait for other regions to fetch them`);
      }
    }
    for (const { status } of all) {
      if (status.scanOnly === undefined) continue;
      remarks.push(`${status.region}: vector search has no graph and compares every vector (${status.scanOnly})`);
    }
    const by = (read: (status: ReportedStatus) => readonly string[] | undefined) => saidBy(known, read);
    notes.push(...leadership.refused, ...by(({ refusedValues }) => refusedValues));
    notes.push(...by(({ streamSettings }) => streamSettings));
    for (const [name, { status, reachable }] of known) {
      if (!reachable || status.logAheadMs === undefined) continue;
      const seconds = Math.round(status.logAheadMs / 1_000);
      notes.push(`${name}: its log has events from ${seconds} s ahead of its clock, written under a wrong clock`);
    }
    if (record === undefined) notes.push('no leader is known');
    if (!leadership.controlAvailable) notes.push('leadership key unreadable');
    const serving = record !== undefined && leader !== undefined && accepts(leader, record);
    if (!serving && leader?.reachable === true && leader.status.leadership?.epoch !== record?.epoch) {
      const known = leader.status.leadership?.epoch;
      notes.push(
        `${record?.leader} knows ${known === undefined ? 'no epoch' : `epoch ${known}`}, not ${record?.epoch}`,
      );
    }
    return {
      status: !serving ? 'unavailable' : notes.length === 0 ? 'ok' : 'degraded',
      leader: record?.leader ?? null,
      items: leader?.reachable === true ? leader.status.items : null,
      epoch: record?.epoch ?? null,
      regions: {
        total: names.length,
        reachable: all.length,
        ready: all.filter((region) => region.status.ready).length,
      },
      notes: [...notes, ...remarks],
    };
  };

  return {
    status: async () => statusOf(await askAll()),
    health: async () => healthOf(await askAll()),
    async both() {
      const known = await askAll();
      return { status: statusOf(known), health: healthOf(known) };
    },
  };
}

/** Stopped origins, refused messages, and failed indexes of a region. */
function doubtsOf(name: string, { stopped, refused, failedIndexes = [] }: ReportedStatus): string[] {
  const notes = failedIndexes.map((why) => `${name}: ${why}`);
  if (stopped !== undefined) {
    const origins = stopped.origins?.length ? ` taking ${stopped.origins.join(', ')}` : '';
    notes.push(`${name} has stopped${origins}: ${stopped.detail}`);
  }
  if (refused !== undefined) {
    notes.push(
      `${name} refused ${refused.count} messages in the last 30 s, the newest of ${refused.origin}: ${refused.detail}`,
    );
  }
  return notes;
}

/** Whether a write that is sent now is accepted: by the leader in its epoch, or held until its handover has ended. */
function accepts({ reachable, status }: RegionView, { leader, epoch }: Leadership): boolean {
  const { ready, leadership: known, refuses } = status;
  if (!reachable || !ready || known?.leader !== leader || known.epoch !== epoch) return false;
  return refuses === undefined || refuses.code === 'handing_over';
}

/** Notes of reachable regions, each once, however many regions have it. */
function saidBy(
  known: ReadonlyMap<string, RegionView>,
  read: (status: ReportedStatus) => readonly string[] | undefined,
): string[] {
  const names = new Map<string, string[]>();
  for (const [name, { status, reachable }] of known) {
    if (!reachable) continue;
    for (const sentence of read(status) ?? []) names.set(sentence, [...(names.get(sentence) ?? []), name]);
  }
  return [...names].map(([sentence, by]) => `${by.join(', ')}: ${sentence}`);
}

function absentDisks(regions: readonly RegionView[]): AbsentDisk[] {
  const present = new Set(regions.map(({ status }) => status.disk));
  const accounts = regions.filter(({ reachable }) => reachable).map(({ status }) => parseDisks(status.disks) ?? []);
  const retired = new Set(accounts.flatMap((disks) => disks.filter((disk) => disk.retired).map(({ id }) => id)));
  const absent = new Map<string, { region: string; knownMs: number }>();
  for (const { id, region, knownMs } of accounts.flat()) {
    if (present.has(id) || retired.has(id)) continue;
    absent.set(id, { region, knownMs: Math.min(knownMs, absent.get(id)?.knownMs ?? knownMs) });
  }
  return [...absent]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([disk, { region, knownMs }]) => ({
      disk,
      region,
      known_until: knownMs === 0 ? null : new Date(knownMs).toISOString(),
    }));
}

function reportOf(
  name: string,
  region: RegionView | undefined,
  leads: boolean,
  leader: RegionView | undefined,
): RegionReport {
  const role = leads ? 'leader' : 'follower';
  if (region === undefined) {
    const unknown = { applied_events: null, lag_events: null, partitioned: null };
    const rest = {
      position: null,
      offset: null,
      lag_seconds: null,
      ahead_events: null,
      unshipped_events: null,
      disk: null,
      version: null,
    };
    return { name, ...unknown, role, reachable: false, ready: false, ...rest };
  }
  const { status, reachable } = region;
  const { applied } = status;
  const lag = leads ? 0 : leader === undefined ? null : missing(leader.status.applied, applied);
  const behindMs = leader === undefined ? 0 : leader.status.newestMs - status.newestMs;
  return {
    name,
    applied_events: totalOf(applied),
    lag_events: lag,
    partitioned: status.partitioned,
    ...(status.healAtMs === undefined ? {} : { heal_at: new Date(status.healAtMs).toISOString() }),
    role,
    reachable,
    ready: reachable && status.ready,
    position: formatPosition(applied),
    offset: status.offset,
    lag_seconds: lag === 0 ? 0 : lag === null || status.newestMs === 0 ? null : Math.max(0, behindMs) / 1_000,
    ahead_events: leads ? 0 : leader === undefined ? null : missing(applied, leader.status.applied),
    unshipped_events: status.unshipped,
    disk: status.disk ?? null,
    ...(status.stopped === undefined ? {} : { stopped: status.stopped }),
    ...(status.refused === undefined ? {} : { refused: status.refused }),
    version: status.version?.program ?? null,
  };
}
