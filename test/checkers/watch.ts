/**
 * Polls every region and router while faults happen, past all wires, and records what must never be seen: a durable or applied
 * position that goes back (over restarts too), a state ahead of its log, an epoch that goes back, two leaders of one epoch.
 * `stop` throws what was noted.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { covers, merge, type Position, positionOf } from '../../shared/protocol/position.ts';
import { internalHeaders } from '../harness/clients/internal.ts';
import { requestJson } from '../harness/clients/request-json.ts';
import type { Cluster } from '../harness/processes/cluster.ts';

const LOOK_EVERY_MS = 100;

interface Seen {
  readonly durable: Position;
  readonly applied: Position;
  readonly epoch: number;
}

const nothing: Seen = { durable: new Map(), applied: new Map(), epoch: 0 };

export class Watch {
  readonly leaders = new Map<number, Set<string>>();
  readonly violations: string[] = [];
  looks = 0;
  /** Regions that said they had refused messages. */
  readonly refusedMessages = new Set<string>();
  /** Regions and routers that said they refuse a leadership record. */
  readonly refusedRecords = new Set<string>();
  private readonly seen = new Map<string, Seen>();
  private stopping = false;
  private readonly looking: Promise<unknown>;

  constructor(cluster: Cluster) {
    const regions = cluster.regionNames.map((name) =>
      this.keepLooking<RegionStatus>(`${cluster.regionUrls.get(name)}/internal/status`, (status) =>
        this.noteRegion(name, status),
      ),
    );
    const routers = cluster.routerUrls.map((url) =>
      this.keepLooking<{ epoch?: number; leader?: string }>(`${url}/cluster/status`, ({ epoch, leader }) =>
        this.noteLeader(url, epoch, leader),
      ),
    );
    this.looking = Promise.all([...regions, ...routers]);
  }

  /** Throws everything that was noted. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.looking;
    if (this.violations.length > 0) throw new Error(`seen while it ran:\n${this.violations.join('\n')}`);
    if (this.looks === 0) throw new Error('nothing answered while it ran');
  }

  private async keepLooking<T>(url: string, note: (body: T) => void): Promise<void> {
    while (!this.stopping) {
      const answer = await requestJson<T>(url, { headers: internalHeaders }).catch(() => undefined);
      if (answer?.status === 200) {
        this.looks += 1;
        note(answer.body);
      }
      // A test that failed before `stop` must not be kept from ending.
      await pause(LOOK_EVERY_MS, undefined, { ref: false });
    }
  }

  private noteRegion(name: string, status: RegionStatus): void {
    const before = this.seen.get(name) ?? nothing;
    const durable = positionOf(status.durable);
    const applied = positionOf(status.applied);
    const epoch = status.leadership?.epoch ?? 0;
    const went = (what: string, from: Position, to: Position): void => {
      if (covers(to, from)) return;
      this.violations.push(
        `${name}: ${what} went back from ${JSON.stringify([...from])} to ${JSON.stringify([...to])}`,
      );
    };
    went('the durable position', before.durable, durable);
    went('the applied position', before.applied, applied);
    if (!covers(durable, applied))
      this.violations.push(`${name}: applied ${status.applied}, durable ${status.durable}`);
    if (epoch < before.epoch) this.violations.push(`${name}: the epoch went back from ${before.epoch} to ${epoch}`);
    this.seen.set(name, {
      durable: merge(before.durable, durable),
      applied: merge(before.applied, applied),
      epoch: Math.max(epoch, before.epoch),
    });
    if (status.refused !== undefined) this.refusedMessages.add(name);
    if (status.refusedValues !== undefined) this.refusedRecords.add(name);
    this.noteLeader(name, status.leadership?.epoch, status.leadership?.leader);
  }

  private noteLeader(who: string, epoch: number | undefined, leader: string | undefined): void {
    if (typeof epoch !== 'number' || typeof leader !== 'string' || epoch === 0) return;
    const leaders = this.leaders.get(epoch) ?? new Set();
    this.leaders.set(epoch, leaders);
    if (leaders.has(leader)) return;
    if (leaders.size > 0) this.violations.push(`${who}: epoch ${epoch} is led by ${leader}, and by ${[...leaders]}`);
    leaders.add(leader);
  }
}
