/** The role by the leadership record. See `leadership.ts`. */
import { messageOf, Refusal } from '../../../shared/errors/errors.ts';
import { assert, type Clock, type Random, randomName, sleep } from '../../../shared/kernel/kernel.ts';
import { isUnsound, type Leadership, parseLeadership, parseRemembered } from '../../../shared/leadership/leadership.ts';
import { RefusedValues } from '../../../shared/leadership/refused-values.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { HANDOVER_RESUMED_MS, PEER_STATUS_FRESH_MS, POLL_MS } from '../../../shared/protocol/deadlines.ts';
import type { HandoverReply } from '../../../shared/protocol/internal.ts';
import { formatPosition, type Position } from '../../../shared/protocol/position.ts';
import type { Control, Revision, Stream } from '../../../shared/stream/stream.ts';
import type { Gate } from '../intake/intake.ts';
import type { Peers } from '../peers/peers.ts';
import { Queue } from '../queue/queue.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';
import type { Wal } from '../wal/wal.ts';
import type { Role } from './leadership.ts';
import { StallWatch } from './stall-watch.ts';

const KEY = 'the leadership key';

export interface LeadershipRoleOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly region: string;
  readonly wal: Wal;
  readonly control: Control;
  readonly stream: Stream;
  readonly peers: Peers;
  /** Why this region may not accept although it leads: not ready, schema behind, clock unsafe. */
  readonly writeBlocker: () => Refusal | undefined;
  /** Names of the topology; a record of other regions is invalid. */
  readonly regions: readonly string[];
  /** The store failed: the process must end. */
  readonly onFatal: (error: unknown) => void;
}

export function createLeadershipRole(options: LeadershipRoleOptions): Role {
  return new LeadershipRole(options);
}

class LeadershipRole implements Role {
  private readonly options: LeadershipRoleOptions;
  private drain: (() => Promise<Position>) | undefined;
  private known: Leadership | undefined;
  /** The record on the disk: `known`, unless the disk was full. */
  private stored: Leadership | undefined;
  /** The record that was reported as not stored for lack of space. */
  private reportedUnstored: string | undefined;
  private readonly refusals: RefusedValues;
  private readonly stall: StallWatch;
  /** How often this process was paused, and when the last pause was noticed, monotonic ms. */
  private stalls = 0;
  private stalledMs = Number.NEGATIVE_INFINITY;
  /** True if the key was read or confirmed by a peer in this process since its last pause. */
  private confirmed = false;
  /** Revision of the key when `known` was last read from it; undefined if `known` has another source. */
  private revision: Revision | undefined;
  /** Monotonic ms since when a handover has stopped this leader. */
  private stoppedSinceMs: number | undefined;
  private refreshing: Promise<void> | undefined;
  /** A read that begins after the one in progress: all calls made meanwhile share it. */
  private following: Promise<void> | undefined;
  private stopListening: (() => void) | undefined;
  /** Stores a record on disk first, then acts; one record at a time, so that the disk never ends with an older one. */
  private readonly adopting = new Queue();
  private readonly ending = new AbortController();
  private loop: Promise<void> = Promise.resolve();

  constructor(options: LeadershipRoleOptions) {
    const { clock, log, metrics, wal, regions, region } = options;
    this.options = options;
    const refused = metrics.counter({
      name: 'tidal_control_values_refused_total',
      help: 'Readings of a leadership record, in the key, on the disk or reported by a peer, that was refused.',
    });
    this.refusals = new RefusedValues({ clock, log, count: () => refused.inc() });
    metrics.gauge({
      name: 'tidal_epoch',
      help: 'The leadership epoch this region knows.',
      read: () => this.leadership?.epoch ?? 0,
    });
    metrics.gauge({ name: 'tidal_leader', help: '1 while this region is the leader.', read: () => this.leads });
    this.stall = new StallWatch({ clock, onStall: (stoodMs) => this.doubt(stoodMs) });
    const mark = wal.mark('leadership');
    const remembered = mark === undefined ? undefined : parseRemembered(mark, wal.credibleEpoch, regions);
    if (remembered !== undefined && isUnsound(remembered)) {
      this.refusals.refuse(onDiskOf(region), mark, remembered.unsound);
    } else {
      this.known = remembered;
      this.stored = remembered;
    }
    this.noteHandover(undefined);
  }

  onHandover(drain: () => Promise<Position>): void {
    this.drain = drain;
  }

  get remembered(): Leadership | undefined {
    return this.stored;
  }

  get refused(): readonly string[] {
    return this.refusals.reasons;
  }

  get knownEpoch(): number {
    const { wal, peers } = this.options;
    const own = Math.max(this.known?.epoch ?? 0, wal.credibleEpoch);
    if (own > 0) return own;
    // A new disk has no epoch to compare with. The lowest of its peers is used, because a forged epoch is a high one.
    const told = [...peers.views.values()].map(({ status }) =>
      Math.max(status.leadership?.epoch ?? 0, status.newestEpoch?.epoch ?? 0),
    );
    const epochs = told.filter((epoch) => epoch > 0);
    return epochs.length === 0 ? 0 : Math.min(...epochs);
  }

  get leadership(): Leadership | undefined {
    return this.known;
  }

  get leads(): boolean {
    return this.known?.leader === this.options.region;
  }

  gate(epoch: number): Gate {
    const { region, writeBlocker } = this.options;
    this.stall.check();
    const known = this.known;
    if (known === undefined) return new Refusal('not_leader', `${region} knows no leader yet`);
    if (epoch > known.epoch) {
      void this.refresh();
      return new Refusal('not_leader', `${region} knows epoch ${known.epoch}, not yet ${epoch}`);
    }
    if (known.leader !== region) return new Refusal('not_leader', `${region} is not the leader: ${known.leader} is`);
    if (epoch < known.epoch) return new Refusal('stale_epoch', `the epoch is ${known.epoch}, not ${epoch}`);
    if (known.handover !== undefined) {
      return new Refusal('handing_over', `${region} is handing over to ${known.handover.to}`);
    }
    if (!this.confirmed)
      return new Refusal('not_leader', `${region} was paused and has not yet confirmed that it still leads`);
    if (this.stored?.leader !== region || this.stored.epoch !== known.epoch) {
      return new Refusal(
        'storage_full',
        `the disk of ${region} is full: it cannot remember that it leads epoch ${known.epoch}`,
      );
    }
    return writeBlocker() ?? { epoch: known.epoch };
  }

  start(): void {
    const { stream, peers } = this.options;
    this.stopListening = stream.onConnection((connected) => {
      if (connected) void this.refresh();
    });
    peers.onPolled(() => void this.learnFromPeers());
    this.stall.start();
    this.loop = this.run();
  }

  private async run(): Promise<void> {
    const { clock } = this.options;
    while (!this.ending.signal.aborted) {
      await this.refresh();
      await this.resumeWhenForgotten();
      await sleep(clock, POLL_MS, this.ending.signal);
    }
  }

  async stop(): Promise<void> {
    this.ending.abort();
    this.stopListening?.();
    await Promise.all([this.loop, this.stall.stop()]);
    await (this.following ?? this.refreshing);
    await this.adopting.idle();
  }

  refresh(): Promise<void> {
    if (this.refreshing === undefined) return this.readNow();
    // The read in progress may have begun before the caller's reason to read.
    this.following ??= this.refreshing.then(() => {
      this.following = undefined;
      return this.refreshing ?? this.readNow();
    });
    return this.following;
  }

  private readNow(): Promise<void> {
    if (this.ending.signal.aborted) return Promise.resolve();
    this.refreshing = this.readKey()
      .catch((error: unknown) => this.options.log.error('leadership record not processed', { error: messageOf(error) }))
      .finally(() => {
        this.refreshing = undefined;
      });
    return this.refreshing;
  }

  private async readKey(): Promise<void> {
    const { control, log } = this.options;
    const { stalls } = this;
    let entry: Awaited<ReturnType<Control['read']>>;
    try {
      entry = await control.read();
    } catch (error) {
      log.debug('leadership record unreadable', { error: messageOf(error) });
      this.revision = undefined;
      this.confirmByPeers();
      return;
    }
    // A change is based on a revision that was read just before, of the record that is acted on; no older one is used.
    this.revision = undefined;
    if (entry === 'missing') return;
    const record = this.parse(KEY, entry.value);
    if (record !== undefined) await this.adopt(record, { revision: entry.revision, stalls });
  }

  private parse(source: string, value: unknown): Leadership | undefined {
    const parsed = parseLeadership(value, { regions: this.options.regions, knownEpoch: this.knownEpoch });
    if (isUnsound(parsed)) {
      this.refusals.refuse(source, value, parsed.unsound);
      return undefined;
    }
    this.refusals.accept(source);
    return parsed;
  }

  /** After a pause another region may lead, and answers to earlier requests do not rule that out. */
  private doubt(stoodMs: number): void {
    const { clock, log } = this.options;
    this.stalls++;
    this.stalledMs = clock.monotonicMs();
    this.confirmed = false;
    if (this.leads)
      log.warn('process was paused, leadership is read again before accepting writes', { for_ms: stoodMs });
    void this.refresh();
  }

  private async learnFromPeers(): Promise<void> {
    if (this.ending.signal.aborted) return;
    for (const [peer, { status, reachable }] of this.options.peers.views) {
      if (!reachable || status.leadership === undefined) continue;
      const record = this.parse(`the report of ${peer}`, status.leadership);
      if (record === undefined) continue;
      await this.adopt(record, undefined).catch((error: unknown) =>
        this.options.log.error('leadership record not processed', { error: messageOf(error) }),
      );
    }
  }

  /** The key is unavailable: a peer that answers and knows nothing higher replaces it. */
  private confirmByPeers(): void {
    const { peers, log } = this.options;
    if (this.confirmed || this.known === undefined) return;
    const epochs = [...peers.views.values()]
      .filter(({ reachable, atMs }) => reachable && atMs >= this.stalledMs + PEER_STATUS_FRESH_MS)
      .map(({ status }) => status.leadership?.epoch ?? 0);
    if (peers.expected > 0 && epochs.length === 0) return;
    if (epochs.some((epoch) => epoch > (this.known?.epoch ?? 0))) return;
    this.confirmed = true;
    log.warn('leadership record unreadable, confirmed by peers', { epoch: this.known.epoch });
  }

  private adopt(record: Leadership, from: KeyReading | undefined): Promise<void> {
    return this.adopting.add(() => this.adoptNow(record, from));
  }

  private async adoptNow(record: Leadership, from: KeyReading | undefined): Promise<void> {
    const { log, region } = this.options;
    const before = this.known;
    const fromKey = from !== undefined;
    if (before !== undefined && (record.epoch < before.epoch || (record.epoch === before.epoch && !fromKey))) return;
    if (!isSame(this.stored, record)) await this.remember(record);
    if (!isSame(before, record)) {
      this.known = record;
      this.noteHandover(before);
      if (before?.epoch !== record.epoch || before.leader !== record.leader) {
        log.info('leadership changed', { leader: record.leader, epoch: record.epoch });
      }
    }
    this.revision = from?.revision;
    if (fromKey && from.stalls === this.stalls) this.confirmed = true;
    // A record that a peer remembers may have been replaced in the key; only the key confirms that this region leads now.
    if (!fromKey && record.leader === region) this.confirmed = false;
  }

  /**
   * On a full disk the record is still acted on: whatever it says, this region accepts only in an epoch of which its disk names
   * it the leader (`gate`), and after a restart only after it has read the key.
   */
  private async remember(record: Leadership): Promise<void> {
    const { wal, log, onFatal, region } = this.options;
    try {
      await wal.storeMark('leadership', record);
      this.stored = record;
      this.refusals.accept(onDiskOf(region));
    } catch (error) {
      if (!isStorageFull(error)) {
        onFatal(error);
        throw error;
      }
      if (this.reportedUnstored === record.nonce) return;
      this.reportedUnstored = record.nonce;
      log.error('leadership record not stored, disk full', { leader: record.leader, epoch: record.epoch });
    }
  }

  /** A handover stops this leader from the time it was first seen; after a restart, from the start. */
  private noteHandover(before: Leadership | undefined): void {
    const { clock, region } = this.options;
    const handover = this.known?.leader === region ? this.known.handover : undefined;
    if (handover === undefined) this.stoppedSinceMs = undefined;
    else if (handover.id !== before?.handover?.id) this.stoppedSinceMs = clock.monotonicMs();
  }

  async handOver(id: string): Promise<HandoverReply> {
    const { region, log } = this.options;
    const { drain } = this;
    assert(drain !== undefined, 'a role is joined with the intake it drains');
    await this.refresh();
    const known = this.known;
    if (known?.leader !== region) throw new Refusal('not_leader', `${region} is not the leader`);
    if (known.handover?.id !== id) {
      throw new Refusal('control_unavailable', `${region} does not see the handover ${id} in the leadership record`);
    }
    log.info('handover started', { to: known.handover.to, epoch: known.epoch });
    return { durable: formatPosition(await drain()) };
  }

  /** Compare-and-set on the very revision of the handover: exactly one of commit, roll-back and resumption happens. */
  private async resumeWhenForgotten(): Promise<void> {
    const { clock, control, random, log, region } = this.options;
    const known = this.known;
    if (known?.handover === undefined || known.leader !== region || this.revision === undefined) return;
    if (this.stoppedSinceMs === undefined || clock.monotonicMs() - this.stoppedSinceMs < HANDOVER_RESUMED_MS) return;
    const record: Leadership = { leader: region, epoch: known.epoch, nonce: randomName(random, 13) };
    try {
      const result = await control.update(record, this.revision);
      log.warn('handover abandoned, leadership resumed', {
        to: known.handover.to,
        resumed: result !== 'conflict',
      });
    } catch (error) {
      log.warn('handover not rolled back yet', { error: messageOf(error) });
    }
    await this.refresh();
  }
}

/** A read of the key: its revision, and how often the process had been paused when it began. */
interface KeyReading {
  readonly revision: Revision;
  readonly stalls: number;
}

function isSame(one: Leadership | undefined, other: Leadership): boolean {
  return one !== undefined && one.nonce === other.nonce && one.epoch === other.epoch;
}

function onDiskOf(region: string): string {
  return `the record on the disk of ${region}`;
}
