/** The role by the leadership record. See `role.ts`. */
import { Fault, messageOf, Refusal } from '../../../shared/errors/errors.ts';
import { type Clock, type Random, randomName, sleep } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { HandoverReply } from '../../../shared/protocol/internal.ts';
import { type Leadership, parseLeadership } from '../../../shared/protocol/leadership.ts';
import { formatPosition, type Position } from '../../../shared/protocol/position.ts';
import type { Control, Stream } from '../../../shared/stream/stream.ts';
import type { Gate } from '../intake/intake.ts';
import type { Peers } from '../repair/repair.ts';
import type { Wal } from '../wal/wal.ts';
import type { Role } from './role.ts';

const READ_MS = 1_000;
/** An old leader whose hand-over neither committed nor rolled back resumes by itself after this long. */
const RESUME_MS = 10_000;

export interface LeadershipRoleOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly region: string;
  readonly wal: Wal;
  readonly control: Control;
  readonly stream: Stream;
  readonly peers: Peers;
  /** Why this region may not accept although it leads: not ready, schema behind, clock unsafe. */
  readonly hindrance: () => Refusal | undefined;
  /** Settles intake; see `Intake.settle`. */
  readonly settle: () => Promise<Position>;
  readonly onChange?: (leadership: Leadership) => void;
  /** The store failed: the process must end. */
  readonly onFatal: (error: unknown) => void;
}

export function createLeadershipRole(options: LeadershipRoleOptions): Role {
  return new LeadershipRole(options);
}

class LeadershipRole implements Role {
  private readonly options: LeadershipRoleOptions;
  private known: Leadership | undefined;
  /** The key was read, or stood in for, in this process. */
  private confirmed = false;
  /** Revision of the key when `known` was last read from it; undefined: `known` came from elsewhere. */
  private revision: number | undefined;
  /** Monotonic ms since when a hand-over has stopped this leader. */
  private stoppedSinceMs: number | undefined;
  private refreshing: Promise<void> | undefined;
  /** A read that begins after the one under way: everybody who asked meanwhile shares it. */
  private following: Promise<void> | undefined;
  private stopListening: (() => void) | undefined;
  private adopting: Promise<void> = Promise.resolve();
  private readonly ending = new AbortController();
  private loop: Promise<void> = Promise.resolve();

  constructor(options: LeadershipRoleOptions) {
    this.options = options;
    this.known = parseLeadership(options.wal.mark('leadership'));
    this.noteHandover(undefined);
  }

  get leadership(): Leadership | undefined {
    return this.known;
  }

  get leads(): boolean {
    return this.known?.leader === this.options.region;
  }

  gate(epoch: number): Gate {
    const { region, hindrance } = this.options;
    const known = this.known;
    if (known === undefined) return new Refusal('not_leader', `${region} knows of no leader yet`);
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
      return new Refusal('not_leader', `${region} has not confirmed since its start that it still leads`);
    return hindrance() ?? { epoch: known.epoch };
  }

  start(): void {
    const { stream, peers } = this.options;
    this.stopListening = stream.onConnection((connected) => {
      if (connected) void this.refresh();
    });
    peers.onPolled(() => void this.learnFromPeers());
    this.loop = this.run();
  }

  private async run(): Promise<void> {
    const { clock } = this.options;
    while (!this.ending.signal.aborted) {
      await this.refresh();
      await this.resumeWhenForgotten();
      await sleep(clock, READ_MS, this.ending.signal);
    }
  }

  async stop(): Promise<void> {
    this.ending.abort();
    this.stopListening?.();
    await this.loop;
    await (this.following ?? this.refreshing);
    await this.adopting;
  }

  refresh(): Promise<void> {
    if (this.refreshing === undefined) return this.readNow();
    // The one under way may have read before the caller's reason to ask.
    this.following ??= this.refreshing.then(() => {
      this.following = undefined;
      return this.refreshing ?? this.readNow();
    });
    return this.following;
  }

  private readNow(): Promise<void> {
    if (this.ending.signal.aborted) return Promise.resolve();
    this.refreshing = this.readKey()
      .catch((error: unknown) => this.options.log.error('leadership', { error: messageOf(error) }))
      .finally(() => {
        this.refreshing = undefined;
      });
    return this.refreshing;
  }

  private async readKey(): Promise<void> {
    const { control, log } = this.options;
    let entry: Awaited<ReturnType<Control['read']>>;
    try {
      entry = await control.read();
    } catch (error) {
      log.debug('the leadership record cannot be read', { error: messageOf(error) });
      this.revision = undefined;
      this.confirmByPeers();
      return;
    }
    // A change is made on a revision that was read just before, of the record that is acted on; no older one counts.
    this.revision = undefined;
    if (entry === 'missing') return;
    const record = parseLeadership(entry.value);
    if (record === undefined) {
      log.error('the leadership record is not one', { value: entry.value });
      return;
    }
    await this.adopt(record, entry.revision);
  }

  private async learnFromPeers(): Promise<void> {
    if (this.ending.signal.aborted) return;
    for (const { status, reachable } of this.options.peers.views.values()) {
      const record = parseLeadership(status.leadership);
      if (!reachable || record === undefined) continue;
      await this.adopt(record, undefined).catch((error: unknown) =>
        this.options.log.error('leadership', { error: messageOf(error) }),
      );
    }
  }

  /** The key is away: a peer that answers and knows nothing higher stands in for it. */
  private confirmByPeers(): void {
    const { peers, log } = this.options;
    if (this.confirmed || this.known === undefined) return;
    const epochs = [...peers.views.values()]
      .filter(({ reachable }) => reachable)
      .map(({ status }) => status.leadership?.epoch ?? 0);
    if (peers.expected > 0 && epochs.length === 0) return;
    if (epochs.some((epoch) => epoch > (this.known?.epoch ?? 0))) return;
    this.confirmed = true;
    log.warn('the leadership record cannot be read; confirmed by the other regions', { epoch: this.known.epoch });
  }

  /** Remembers on disk first, then acts; one record at a time, so that the disk never ends on an older one. */
  private adopt(record: Leadership, revision: number | undefined): Promise<void> {
    const run = this.adopting.then(() => this.adoptNow(record, revision));
    this.adopting = run.catch(() => undefined);
    return run;
  }

  private async adoptNow(record: Leadership, revision: number | undefined): Promise<void> {
    const { wal, log, onChange, onFatal } = this.options;
    const before = this.known;
    const fromKey = revision !== undefined;
    if (before !== undefined && (record.epoch < before.epoch || (record.epoch === before.epoch && !fromKey))) return;
    if (before === undefined || before.nonce !== record.nonce || before.epoch !== record.epoch) {
      try {
        await wal.storeMark('leadership', record);
      } catch (error) {
        if (!(error instanceof Fault && error.code === 'storage_full')) {
          onFatal(error);
          throw error;
        }
        // What cannot be remembered is not acted on, but nothing is accepted against it either.
        this.confirmed = false;
        log.error('the disk is full: the leadership record cannot be stored', { epoch: record.epoch });
        return;
      }
      this.known = record;
      this.noteHandover(before);
      if (before?.epoch !== record.epoch || before.leader !== record.leader) {
        log.info('leadership', { leader: record.leader, epoch: record.epoch });
      }
      onChange?.(record);
    }
    this.revision = revision;
    if (fromKey) this.confirmed = true;
  }

  /** A hand-over stops this leader from now on, or from when it saw it first; after a restart, from the start. */
  private noteHandover(before: Leadership | undefined): void {
    const { clock, region } = this.options;
    const handover = this.known?.leader === region ? this.known.handover : undefined;
    if (handover === undefined) this.stoppedSinceMs = undefined;
    else if (handover.id !== before?.handover?.id) this.stoppedSinceMs = clock.monotonicMs();
  }

  async handOver(id: string): Promise<HandoverReply> {
    const { region, settle, log } = this.options;
    await this.refresh();
    const known = this.known;
    if (known?.leader !== region) throw new Refusal('not_leader', `${region} is not the leader`);
    if (known.handover?.id !== id) {
      throw new Refusal('control_unavailable', `${region} does not see the hand-over ${id} in the leadership record`);
    }
    log.info('handing over', { to: known.handover.to, epoch: known.epoch });
    return { durable: formatPosition(await settle()) };
  }

  /** Compare-and-set on the very revision of the hand-over: exactly one of commit, roll-back and resumption happens. */
  private async resumeWhenForgotten(): Promise<void> {
    const { clock, control, random, log, region } = this.options;
    const known = this.known;
    if (known?.handover === undefined || known.leader !== region || this.revision === undefined) return;
    if (this.stoppedSinceMs === undefined || clock.monotonicMs() - this.stoppedSinceMs < RESUME_MS) return;
    const record: Leadership = { leader: region, epoch: known.epoch, nonce: randomName(random, 13) };
    try {
      const result = await control.update(record, this.revision);
      log.warn('the hand-over was neither finished nor taken back; resuming', {
        to: known.handover.to,
        resumed: result !== 'conflict',
      });
    } catch (error) {
      log.warn('the hand-over cannot be taken back yet', { error: messageOf(error) });
    }
    await this.refresh();
  }
}
