/**
 * A cluster as drills see it, in memory: regions with sums, a lag while partitioned, a lease. Tests make it answer what is not
 * so, because a drill has to find that out.
 */

import { CommandError } from '../../../deploy/backup/command.ts';
import type { Answered, Processes, Removal, SignalWrite, Surface } from '../../../deploy/drill/surface.ts';
import type { ClusterHealth, ClusterStatus, VerifyAnswer } from '../../../services/router/cluster/cluster.ts';
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';

const regionNames = ['us-east', 'eu-west', 'ap-south'];

export class SimulatedSurface implements Surface, Processes {
  readonly clock: Clock;
  leader = 'us-east';
  failover: ClusterStatus['failover'] = 'manual';
  readonly partitioned = new Set<string>();
  readonly away = new Set<string>();
  readonly calls: string[] = [];
  readonly items = new Set<number>();
  /** By region and entity. */
  readonly counted = new Map<string, Map<number, number>>(regionNames.map((name) => [name, new Map()]));
  /** What a region misses because it is partitioned. */
  private readonly missed: { readonly region: string; readonly write: SignalWrite; readonly copies: number }[] = [];
  private readonly keys = new Set<string>();
  writes = 0;
  lease: string | undefined;
  leaseEnded = false;
  writeTakesMs = 5;
  /** How the n-th write is answered, and how often it counts in a region; default: acknowledged, once. */
  fate: (n: number) => { readonly answer?: Answered; readonly copies?: (region: string) => number } = () => ({});
  differ = false;
  /** Whether the n-th removal, from 1, leaves an item. */
  isKept: (entity: number, n: number) => boolean = () => false;
  removals = 0;
  /** Comparisons of the regions. */
  comparisons = 0;
  /** Thrown by the next operation of this name. */
  readonly failing = new Map<string, string>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  async status(): Promise<ClusterStatus> {
    const lags = new Map(regionNames.map((name) => [name, this.missed.filter(({ region }) => region === name).length]));
    return {
      leader: this.away.has(this.leader) ? null : this.leader,
      relay_log_len: this.writes,
      epoch: 1,
      stream: { connected: true, offset: 0 },
      failover: this.failover,
      absent_disks: [],
      version: '0',
      regions: regionNames.map((name) => ({
        name,
        applied_events: 0,
        lag_events: lags.get(name)!,
        lag_seconds: 0,
        partitioned: this.partitioned.has(name),
        role: name === this.leader ? 'leader' : 'follower',
        reachable: !this.away.has(name),
        ready: !this.away.has(name),
        position: '',
        offset: 0,
        ahead_events: 0,
        unshipped_events: 0,
        disk: null,
        version: null,
      })),
    };
  }

  async health(): Promise<ClusterHealth> {
    const status = this.partitioned.size + this.away.size > 0 ? 'degraded' : 'ok';
    return {
      status,
      leader: this.leader,
      items: 0,
      epoch: 1,
      regions: { total: 3, reachable: 3, ready: 3 },
      notes: [],
    };
  }

  async verify(): Promise<VerifyAnswer> {
    this.comparisons++;
    const together = this.partitioned.size + this.away.size === 0;
    const converged = this.differ ? false : together ? true : null;
    return {
      converged,
      position: null,
      digests: {},
      took_ms: 0,
      ...(converged === true ? {} : { reason: 'simulated' }),
    };
  }

  async partition(region: string, healAfterMs: number): Promise<void> {
    this.call(`partition ${region} ${healAfterMs}`);
    this.partitioned.add(region);
  }

  async heal(region: string): Promise<void> {
    this.call(`heal ${region}`);
    this.partitioned.delete(region);
    for (const each of this.missed.splice(0)) {
      if (each.region === region) this.count(each.region, each.write, each.copies);
      else this.missed.push(each);
    }
  }

  async promote(region: string, force: boolean): Promise<void> {
    this.call(`promote ${region}${force ? ' by force' : ''}`);
    this.leader = region;
  }

  async write(write: SignalWrite): Promise<Answered> {
    await sleep(this.clock, this.writeTakesMs);
    if (this.away.has(this.leader)) return { outcome: 'refused', code: 'no_leader' };
    if (write.key !== undefined && this.keys.has(write.key)) return { outcome: 'done' };
    const { answer = { outcome: 'done' }, copies = () => (answer.outcome === 'refused' ? 0 : 1) } = this.fate(
      this.writes++,
    );
    if (write.key !== undefined && answer.outcome !== 'refused') this.keys.add(write.key);
    for (const region of regionNames) {
      if (this.partitioned.has(region) && region !== this.leader)
        this.missed.push({ region, write, copies: copies(region) });
      else this.count(region, write, copies(region));
    }
    return answer;
  }

  async read(): Promise<Answered> {
    await sleep(this.clock, 2);
    return { outcome: 'done' };
  }

  async putItems(entities: readonly number[]): Promise<void> {
    this.call('put items');
    for (const entity of entities) this.items.add(entity);
  }

  async removeItems(entities: readonly number[]): Promise<Removal> {
    this.removals++;
    const left = entities.filter((entity) => this.isKept(entity, this.removals));
    for (const entity of entities) if (!left.includes(entity)) this.items.delete(entity);
    return { left, why: left.length === 0 ? '' : 'overloaded' };
  }

  async sums(region: string, entities: readonly number[]): Promise<ReadonlyMap<number, number>> {
    const failure = this.failing.get('sums');
    if (failure !== undefined) throw new CommandError(failure);
    const sums = this.counted.get(region)!;
    return new Map(entities.filter((id) => this.items.has(id)).map((id) => [id, sums.get(id) ?? 0]));
  }

  async holdLease({ id }: { readonly id: string }): Promise<'held' | 'ended'> {
    if (this.leaseEnded) return 'ended';
    if (this.lease !== undefined && this.lease !== id) throw new CommandError('another drill is in progress');
    this.lease = id;
    return 'held';
  }

  async endLease(): Promise<void> {
    this.lease = undefined;
  }

  async kill(process: string, ms: number): Promise<void> {
    this.call(`kill ${process} ${ms}`);
    this.away.add(process);
    const next = regionNames.find((name) => !this.away.has(name));
    if (process === this.leader && this.failover === 'automatic')
      this.clock.after(4_000, () => {
        if (this.away.has(process)) this.leader = next!;
      });
  }

  async stop(process: string, ms: number): Promise<void> {
    this.call(`stop ${process} ${ms}`);
    this.away.add(process);
  }

  async pause(process: string, ms: number): Promise<void> {
    this.call(`pause ${process} ${ms}`);
    this.away.add(process);
  }

  async start(process: string): Promise<void> {
    this.call(`start ${process}`);
    this.away.delete(process);
  }

  async restart(process: string): Promise<void> {
    this.call(`restart ${process}`);
  }

  async wipeNats(): Promise<void> {
    this.call('wipe nats');
  }

  async startAll(): Promise<void> {
    this.away.clear();
  }

  private call(what: string): void {
    this.calls.push(what);
    const failure = this.failing.get(what);
    if (failure !== undefined) throw new CommandError(failure);
  }

  private count(region: string, { entity, milliweight }: SignalWrite, copies: number): void {
    const sums = this.counted.get(region)!;
    sums.set(entity, (sums.get(entity) ?? 0) + copies * milliweight);
  }
}
