/**
 * Follows the leadership record: reads the control key every second and on demand. While the key is unavailable it follows the
 * highest record that the regions report. It creates a missing key, and corrects one that fell behind the regions' records (an
 * older copy of the NATS volume was restored). The regions' logs count too: an epoch that has an origin was given, whatever
 * happened to its record, and no other region may accept in it. An invalid value is corrected in the same way, with a pause that
 * grows each time, in case a client keeps overwriting it.
 *
 * Invariants: the epoch of `current` never decreases; every change of the key is a compare-and-set on a revision read just
 * before. Several routers may race: one of them wins, the others read its record.
 */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import { type Clock, type Random, randomName } from '../../../shared/kernel/kernel.ts';
import { type Repetition, repeat } from '../../../shared/kernel/repeat.ts';
import { highestCredible, nextEpoch } from '../../../shared/leadership/epochs.ts';
import { isUnsound, type Leadership, parseLeadership } from '../../../shared/leadership/leadership.ts';
import type { RefusedValues } from '../../../shared/leadership/refused-values.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { POLL_MS } from '../../../shared/protocol/deadlines.ts';
import type { ReportedStatus } from '../../../shared/region-client/reported-status.ts';
import type { Control, ControlEntry } from '../../../shared/stream/stream.ts';
import type { Topology } from '../../../shared/topology/topology.ts';
import { chooseRecord } from './bootstrap.ts';
import type { LeadershipView, RegionsView } from './cluster.ts';
import { RepairPause } from './repair-pause.ts';

const KEY = 'the leadership key';

export interface LeadershipFollowerOptions {
  readonly control: Control;
  readonly topology: Topology;
  readonly regions: RegionsView;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly refusals: RefusedValues;
}

export class LeadershipFollower implements LeadershipView {
  private readonly options: LeadershipFollowerOptions;
  private readonly listeners = new Set<() => void>();
  private record: Leadership | undefined;
  /** The highest record any region reported. */
  private reported: Leadership | undefined;
  /** The highest epoch of an origin in any region's log. */
  private loggedEpoch = 0;
  /** The highest epoch that each region reported last, plausible or not. */
  private readonly told = new Map<string, number>();
  private readonly refusals: RefusedValues;
  private readonly repairs: RepairPause;
  private answered = false;
  private missingSinceMs: number | undefined;
  private reading: Promise<void> | undefined;
  private loop: Repetition | undefined;

  constructor(options: LeadershipFollowerOptions) {
    this.options = options;
    const { metrics, refusals, clock } = options;
    this.refusals = refusals;
    this.repairs = new RepairPause(clock);
    metrics.gauge({
      name: 'tidal_router_epoch',
      help: 'Epoch of the newest leadership record this router knows; 0 before the first.',
      read: () => this.record?.epoch ?? 0,
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
      read: () => this.answered,
    });
  }

  get current(): Leadership | undefined {
    return this.record;
  }

  get highestEpoch(): number {
    return Math.max(this.highest()?.epoch ?? 0, this.loggedEpoch);
  }

  get refused(): readonly string[] {
    return this.refusals.reasons;
  }

  parse(value: unknown, source = KEY): Leadership | undefined {
    const regions = this.options.topology.regions.map(({ name }) => name);
    const parsed = parseLeadership(value, { regions, knownEpoch: this.knownEpoch });
    if (isUnsound(parsed)) {
      this.refusals.refuse(source, value, parsed.unsound);
      return undefined;
    }
    this.refusals.accept(source);
    return parsed;
  }

  /**
   * The epoch that others are compared with. A router that has just started knows none: then the median of the regions' reports,
   * so that neither one region's forged record nor one old disk decides.
   */
  private get knownEpoch(): number {
    const told = [...this.told.values()].filter((epoch) => epoch > 0).sort((a, b) => a - b);
    const own = Math.max(this.record?.epoch ?? 0, this.reported?.epoch ?? 0, this.loggedEpoch);
    return highestCredible(own > 0 ? own : (told[Math.floor((told.length - 1) / 2)] ?? 0), told);
  }

  get controlAvailable(): boolean {
    return this.answered;
  }

  start(): void {
    this.loop ??= repeat({ clock: this.options.clock, pauseMs: POLL_MS, action: () => this.refresh() });
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

  /** Handles a region's stored record, which is followed only while the key itself cannot be read. */
  report({ region, leadership, newestEpoch }: Pick<ReportedStatus, 'region' | 'leadership' | 'newestEpoch'>): void {
    const logged = newestEpoch?.epoch ?? 0;
    this.told.set(region, Math.max(leadership?.epoch ?? 0, logged));
    if (logged <= this.knownEpoch) this.loggedEpoch = Math.max(this.loggedEpoch, logged);
    if (leadership === undefined) this.refusals.accept(reportOf(region));
    const record = leadership === undefined ? undefined : this.parse(leadership, reportOf(region));
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
      if (!this.answered) log.info('leadership key readable');
      this.answered = true;
      if (entry === 'missing') await this.bootstrap(undefined);
      else await this.take(entry);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (this.answered) log.warn('leadership key unreadable', { detail: messageOf(error) });
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
    let record = this.parse(entry.value);
    if (record === undefined || record.epoch < this.highestEpoch) {
      if (!this.repairs.due) return;
      const unresponsive = await this.unresponsiveRegions();
      // Their reports may be needed to judge the record.
      record = this.parse(entry.value);
      const highest = this.highest() ?? record;
      if (highest === undefined) return this.bootstrap(entry);
      if (record === undefined || record.epoch < this.highestEpoch) {
        // An invalid value is overwritten with the highest record unchanged, so that its leader continues. A record that is
        // behind belongs to another history, whose epochs may have been given already.
        const repaired =
          record === undefined && highest.epoch >= this.loggedEpoch
            ? { leader: highest.leader, epoch: highest.epoch, nonce: this.nonce() }
            : this.next(highest.leader, Math.max(highest.epoch, this.loggedEpoch), unresponsive > 0);
        if ((await control.update(repaired, entry.revision)) === 'conflict') return;
        this.repairs.done();
        log.warn('leadership key repaired', {
          found_epoch: record?.epoch ?? null,
          epoch: repaired.epoch,
          leader: repaired.leader,
        });
        record = repaired;
      }
    }
    // A conflict is a newer record, with a new MAC.
    else if (entry.renew === true) await control.update(entry.value, entry.revision);
    this.missingSinceMs = undefined;
    this.refusals.accept(KEY);
    this.adopt(record);
  }

  private next(leader: string, highest: number, unresponsive: boolean): Leadership {
    const regions = this.options.topology.regions.map(({ name }) => name);
    return { leader, epoch: nextEpoch({ highest, unresponsive, leader, regions }), nonce: this.nonce() };
  }

  /** Asks all regions for their records; returns how many did not answer. */
  private async unresponsiveRegions(): Promise<number> {
    const { topology, regions } = this.options;
    const answers = await Promise.all(topology.regions.map(({ name }) => regions.ask(name)));
    return answers.filter((answer) => answer === undefined).length;
  }

  /** No record exists yet, or none is left. `entry`: the invalid value of the key; undefined: there is no key. */
  private async bootstrap(entry: ControlEntry | undefined): Promise<void> {
    const { control, topology, regions, clock, log } = this.options;
    this.missingSinceMs ??= clock.monotonicMs();
    const answers = new Map<string, Leadership | 'never'>();
    const asked = topology.regions.map(async ({ name }) => {
      const known = await regions.ask(name);
      if (known === undefined) return;
      const { leadership } = known.status;
      answers.set(name, (leadership === undefined ? undefined : this.parse(leadership, reportOf(name))) ?? 'never');
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
      log.info('no leadership record yet, waiting for every region to answer', { answered: [...answers.keys()] });
      return;
    }
    const record: Leadership = { ...chosen, nonce: this.nonce() };
    const written = entry === undefined ? control.create(record) : control.update(record, entry.revision);
    // A conflict is another router's record: the next read finds it.
    if ((await written) === 'conflict') return;
    if (entry !== undefined) this.repairs.done();
    this.missingSinceMs = undefined;
    this.refusals.accept(KEY);
    log.info('leadership record created', { leader: record.leader, epoch: record.epoch });
    this.adopt(record);
  }

  private nonce(): string {
    return randomName(this.options.random, 16);
  }
}

function reportOf(region: string): string {
  return `the record that ${region} reports`;
}
