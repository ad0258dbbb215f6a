/**
 * Follows the leadership record: reads the control key every second and at need. While control is away it follows the
 * highest record the regions report. Creates the key where it is missing, and puts it right where it fell behind what
 * the regions remember (an older copy of the NATS volume was put back). Regions remember by their logs too: an epoch that
 * has an origin is over or under way, whatever became of its record, and nobody else may accept in it.
 *
 * Invariants: `current` never goes to a lower epoch; every change of the key is a compare-and-set on a revision read just
 * before. Several routers may race: one of them wins, the others read its record.
 */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import { type Clock, type Random, randomName } from '../../../shared/kernel/kernel.ts';
import { type Repetition, repeat } from '../../../shared/kernel/repeat.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import type { RegionStatus } from '../../../shared/protocol/internal.ts';
import { type Leadership, parseLeadership } from '../../../shared/protocol/leadership.ts';
import type { Topology } from '../../../shared/schema/topology.ts';
import type { Control, ControlEntry } from '../../../shared/stream/stream.ts';
import { chooseRecord, SILENT_EPOCH_GAP } from './bootstrap.ts';
import type { LeadershipView, RegionsView } from './cluster.ts';

const READ_EVERY_MS = 1_000;

export interface LeadershipFollowerOptions {
  readonly control: Control;
  readonly topology: Topology;
  readonly regions: RegionsView;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

export class LeadershipFollower implements LeadershipView {
  private readonly options: LeadershipFollowerOptions;
  private readonly listeners = new Set<() => void>();
  private record: Leadership | undefined;
  /** The highest record any region reported. */
  private reported: Leadership | undefined;
  /** The highest epoch of an origin in any region's log. */
  private loggedEpoch = 0;
  private answered = false;
  private missingSinceMs: number | undefined;
  private reading: Promise<void> | undefined;
  private loop: Repetition | undefined;

  constructor(options: LeadershipFollowerOptions) {
    this.options = options;
    const { metrics } = options;
    metrics.gauge({
      name: 'tidal_router_epoch',
      help: 'Epoch of the newest leadership record this router knows; 0 before the first.',
      collect: (gauge) => gauge.set(this.record?.epoch ?? 0),
    });
    metrics.gauge({
      name: 'tidal_router_leader',
      help: '1 for the region this router takes for the leader.',
      labels: ['region'],
      collect: (gauge) => {
        for (const { name } of options.topology.regions)
          gauge.set({ region: name }, name === this.record?.leader ? 1 : 0);
      },
    });
    metrics.gauge({
      name: 'tidal_router_control_available',
      help: '1 when the last reading of the leadership key was answered.',
      collect: (gauge) => gauge.set(this.answered ? 1 : 0),
    });
  }

  get current(): Leadership | undefined {
    return this.record;
  }

  get highestEpoch(): number {
    return Math.max(this.highest()?.epoch ?? 0, this.loggedEpoch);
  }

  get controlAvailable(): boolean {
    return this.answered;
  }

  start(): void {
    this.loop ??= repeat({ clock: this.options.clock, pauseMs: READ_EVERY_MS, action: () => this.refresh() });
  }

  async stop(): Promise<void> {
    await this.loop?.stop();
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  adopt(record: Leadership): void {
    if (record.epoch < (this.record?.epoch ?? 0) || record.nonce === this.record?.nonce) return;
    const before = this.record;
    this.record = record;
    if (before?.leader !== record.leader || before.epoch !== record.epoch) {
      this.options.log.info('leadership changed', { leader: record.leader, epoch: record.epoch });
    }
    for (const listener of [...this.listeners]) listener();
  }

  /** What a region remembers. Its record is followed only while the key itself cannot be read. */
  report({ leadership: record, newestEpoch }: Pick<RegionStatus, 'leadership' | 'newestEpoch'>): void {
    this.loggedEpoch = Math.max(this.loggedEpoch, newestEpoch?.epoch ?? 0);
    if (record === undefined || record.epoch <= (this.reported?.epoch ?? 0)) return;
    this.reported = record;
    if (!this.answered) this.followReports();
  }

  refresh(): Promise<void> {
    this.reading ??= this.read().finally(() => {
      this.reading = undefined;
    });
    return this.reading;
  }

  private async read(): Promise<void> {
    const { control, log } = this.options;
    try {
      const entry = await control.read();
      if (!this.answered) log.info('the leadership key can be read');
      this.answered = true;
      if (entry === 'missing') await this.bootstrap();
      else await this.take(entry);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (this.answered) log.warn('the leadership key cannot be read', { detail: messageOf(error) });
      this.answered = false;
      this.missingSinceMs = undefined;
      this.followReports();
    }
  }

  private followReports(): void {
    if (this.reported !== undefined && this.reported.epoch > (this.record?.epoch ?? 0)) this.adopt(this.reported);
  }

  private highest(): Leadership | undefined {
    return (this.reported?.epoch ?? 0) > (this.record?.epoch ?? 0) ? this.reported : this.record;
  }

  private async take(entry: ControlEntry): Promise<void> {
    const { control, log } = this.options;
    this.missingSinceMs = undefined;
    const record = parseLeadership(entry.value);
    if (record !== undefined && record.epoch >= this.highestEpoch) return this.adopt(record);
    const silent = await this.silentRegions();
    const highest = this.highest() ?? record;
    if (highest === undefined) {
      log.error('the leadership key holds no record, and no region reports one', { value: entry.value });
      return;
    }
    const epoch = Math.max(highest.epoch, this.loggedEpoch) + 1 + (silent > 0 ? SILENT_EPOCH_GAP : 0);
    const repaired = { leader: highest.leader, epoch, nonce: this.nonce() };
    if ((await control.update(repaired, entry.revision)) === 'conflict') return;
    log.warn('the leadership key was behind the regions and is put right', {
      found_epoch: record?.epoch ?? null,
      epoch: repaired.epoch,
      leader: repaired.leader,
    });
    this.adopt(repaired);
  }

  /** Asks all regions what they remember; answers how many said nothing. */
  private async silentRegions(): Promise<number> {
    const { topology, regions } = this.options;
    const answers = await Promise.all(topology.regions.map(({ name }) => regions.ask(name)));
    return answers.filter((answer) => answer === undefined).length;
  }

  private async bootstrap(): Promise<void> {
    const { control, topology, regions, clock, log } = this.options;
    this.missingSinceMs ??= clock.monotonicMs();
    const answers = new Map<string, Leadership | 'never'>();
    const asked = topology.regions.map(async ({ name }) => {
      const known = await regions.ask(name);
      if (known !== undefined) answers.set(name, known.status.leadership ?? 'never');
    });
    await Promise.all(asked);
    const chosen = chooseRecord({
      topology,
      answers,
      remembered: this.highest(),
      loggedEpoch: this.loggedEpoch,
      missingForMs: clock.monotonicMs() - this.missingSinceMs,
    });
    if (chosen === undefined) {
      log.info('no leadership record yet; waiting for every region to answer', { answered: [...answers.keys()] });
      return;
    }
    const record: Leadership = { ...chosen, nonce: this.nonce() };
    // A conflict is another router's record: the next reading finds it.
    if ((await control.create(record)) === 'conflict') return;
    this.missingSinceMs = undefined;
    log.info('leadership record created', { leader: record.leader, epoch: record.epoch });
    this.adopt(record);
  }

  private nonce(): string {
    return randomName(this.options.random, 16);
  }
}
