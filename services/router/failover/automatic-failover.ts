/** Observes the leader and replaces it when it is unresponsive. See `failover.ts`. */
import { Fault, messageOf, Refusal } from '../../../shared/errors/errors.ts';
import { type Clock, type Random, randomName } from '../../../shared/kernel/kernel.ts';
import { type Repetition, repeat } from '../../../shared/kernel/repeat.ts';
import { LEASE_KEY, type Leadership } from '../../../shared/leadership/leadership.ts';
import type { RefusedValues } from '../../../shared/leadership/refused-values.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { FAILOVER_DRAIN_LIMIT_MS, POLL_MS } from '../../../shared/protocol/deadlines.ts';
import { totalOf } from '../../../shared/protocol/position.ts';
import type { RegionView } from '../../../shared/region-client/status-poller.ts';
import type { LeadershipView, RegionsView, Replace } from '../cluster/cluster.ts';
import type { RegionLinks } from '../links/links.ts';
import { chooseCandidate, disqualified } from './choose-candidate.ts';
import type { Failover, FailoverSettings } from './failover.ts';
import { Lease } from './lease.ts';
import { Liveness } from './liveness.ts';

export interface AutomaticFailoverOptions {
  /** Absent: failover is manual, and the leader is not observed. */
  readonly settings: FailoverSettings | undefined;
  readonly leadership: LeadershipView;
  readonly regions: RegionsView;
  readonly links: RegionLinks;
  readonly replace: Replace;
  readonly refusals: RefusedValues;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

const outcomeNames = ['replaced', 'no_candidate', 'withdrawn', 'failed'] as const;
type Outcome = (typeof outcomeNames)[number];

export function createFailover(options: AutomaticFailoverOptions): Failover {
  const { metrics, settings } = options;
  const outcomes = metrics.counter({
    name: 'tidal_router_failovers_total',
    help: 'Attempts of this router to replace an unresponsive leader, by outcome: replaced, no_candidate, withdrawn or failed.',
    labels: ['outcome'],
    series: outcomeNames.map((outcome) => ({ outcome })),
  });
  const failover =
    settings === undefined
      ? undefined
      : new AutomaticFailover(options, settings, (outcome) => outcomes.inc({ outcome }));
  metrics.gauge({
    name: 'tidal_router_failover_lease',
    help: '1 while this router is the one that would replace an unresponsive leader.',
    read: () => failover?.holdsLease === true,
  });
  metrics.gauge({
    name: 'tidal_router_leader_unresponsive_seconds',
    help: 'How long the leader has given no heartbeat; 0 with manual failover.',
    read: () => (failover?.unresponsiveMs ?? 0) / 1_000,
  });
  return failover ?? { start() {}, async stop() {} };
}

class AutomaticFailover implements Failover {
  private readonly options: AutomaticFailoverOptions;
  private readonly settings: FailoverSettings;
  private readonly count: (outcome: Outcome) => void;
  private readonly lease: Lease;
  private readonly liveness: Liveness;
  private loop: Repetition | undefined;
  /** The epoch whose unresponsive leader has been reported already. */
  private reported = 0;

  constructor(options: AutomaticFailoverOptions, settings: FailoverSettings, count: (outcome: Outcome) => void) {
    const { clock, random, log, regions, links, refusals } = options;
    this.options = options;
    this.settings = settings;
    this.count = count;
    this.lease = new Lease({ key: settings.keys(LEASE_KEY), holder: randomName(random, 16), clock, log, refusals });
    this.liveness = new Liveness({ keys: settings.keys, regions, names: [...links.keys()], clock, refusals });
  }

  get holdsLease(): boolean {
    return this.lease.held;
  }

  get unresponsiveMs(): number {
    return this.liveness.ms;
  }

  start(): void {
    this.lease.start();
    this.loop ??= repeat({ clock: this.options.clock, pauseMs: POLL_MS, action: () => this.look() });
  }

  async stop(): Promise<void> {
    await Promise.all([this.lease.stop(), this.loop?.stop()]);
  }

  private async look(): Promise<void> {
    const { leadership, log } = this.options;
    const record = leadership.current;
    if (record === undefined || !leadership.controlAvailable) return this.liveness.forget();
    await this.liveness.poll(record);
    if (this.liveness.ms < this.settings.afterMs || !this.lease.held) return;
    try {
      this.count(await this.replace(record));
    } catch (error) {
      if (!(error instanceof Fault || error instanceof Refusal)) throw error;
      this.count('failed');
      log.warn('unresponsive leader not replaced', { leader: record.leader, detail: messageOf(error) });
    }
  }

  private async replace(record: Leadership): Promise<Outcome> {
    const { regions, links, log, replace } = this.options;
    const unresponsiveMs = Math.round(this.liveness.ms);
    const others = [...links.keys()].filter((name) => name !== record.leader);
    const asked = (await Promise.all(others.map((name) => regions.ask(name)))).filter((region) => region !== undefined);
    const candidate = chooseCandidate(asked, {
      epoch: record.epoch,
      signals: regions.known(record.leader)?.status.signals ?? [],
    });
    if (candidate === undefined) {
      this.reportNone(record, asked);
      return 'no_candidate';
    }
    const { region } = candidate.status;
    const drained = await this.drain(region);
    const answer = await replace(record, region, () => this.lease.held);
    if (answer === 'withdrawn') return 'withdrawn';
    log.warn('unresponsive leader replaced', {
      from: record.leader,
      to: region,
      epoch: answer.epoch,
      unresponsive_ms: unresponsiveMs,
      why: 'it did not answer, and its heartbeat did not change',
      stream_drained: drained,
      durable_events: totalOf(candidate.status.durable),
      left_behind: answer.left_behind ?? null,
    });
    return 'replaced';
  }

  /** Events that do not arrive in time are not lost: they are received by repair, or when the old leader returns. */
  private async drain(region: string): Promise<boolean> {
    try {
      return (await this.options.links.get(region)?.drain({ limitMs: FAILOVER_DRAIN_LIMIT_MS })) === true;
    } catch (error) {
      if (!(error instanceof Fault || error instanceof Refusal)) throw error;
      return false;
    }
  }

  private reportNone({ leader, epoch }: Leadership, asked: readonly RegionView[]): void {
    if (this.reported === epoch) return;
    this.reported = epoch;
    const why = asked.map((region) => `${region.status.region} ${disqualified(region)}`);
    this.options.log.error('leader unresponsive, no region can take over', { leader, epoch, others: why });
  }
}
