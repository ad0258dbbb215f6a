/** The last status of each region: polled every second and on demand, with metrics and log lines. */
import { Fault, type FaultCode, messageOf, type ProblemCode, Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { totalOf } from '../../../shared/protocol/position.ts';
import type { ReportedStatus } from '../../../shared/region-client/reported-status.ts';
import { type RegionView, StatusPoller } from '../../../shared/region-client/status-poller.ts';
import type { RegionLinks } from '../links/links.ts';
import type { RegionsView } from './cluster.ts';

export interface RegionMonitorOptions {
  readonly links: RegionLinks;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export class RegionMonitor implements RegionsView {
  private readonly options: RegionMonitorOptions;
  private readonly poller: StatusPoller;
  private readonly obstacles = new Map<string, string>();
  private readonly listeners: ((status: ReportedStatus) => void)[] = [];

  constructor(options: RegionMonitorOptions) {
    this.options = options;
    const { clock, log, metrics, links } = options;
    this.poller = new StatusPoller({
      clients: [...links.values()],
      clock,
      pace: 'apart',
      onAnswer: ({ status }, before) => {
        this.obstacles.delete(status.region);
        if (before?.reachable !== true) log.info('region reachable', { region: status.region });
        for (const listener of this.listeners) listener(status);
      },
      onFailure: (region, error, before) => this.lose(region, error, before),
    });
    metrics.gauge({
      name: 'tidal_router_region_reachable',
      help: '1 when the region answered the last question of this router.',
      labels: ['region'],
      collect: (gauge) => {
        for (const region of links.keys()) gauge.set({ region }, this.known(region)?.reachable ? 1 : 0);
      },
    });
    metrics.gauge({
      name: 'tidal_router_region_applied_events',
      help: 'Events the region had applied when it last answered this router.',
      labels: ['region'],
      collect: (gauge) => {
        for (const [region, { status }] of this.poller.views) gauge.set({ region }, totalOf(status.applied));
      },
    });
  }

  /** Before `start`: runs with every status. */
  onStatus(listener: (status: ReportedStatus) => void): void {
    this.listeners.push(listener);
  }

  start(): void {
    this.poller.start();
  }

  stop(): Promise<void> {
    return this.poller.stop();
  }

  known(region: string): RegionView | undefined {
    return this.poller.views.get(region);
  }

  obstacle(region: string): string | undefined {
    return this.obstacles.get(region);
  }

  ask(region: string): Promise<RegionView | undefined> {
    return this.poller.ask(region);
  }

  /** A refusal is not a status either: the region's numbers may be old. */
  private lose(region: string, error: unknown, before: RegionView | undefined): void {
    const { log } = this.options;
    const detail = messageOf(error);
    const obstacle = obstacleIn(region, error);
    if (obstacle === undefined) this.obstacles.delete(region);
    else {
      if (!this.obstacles.has(region)) log.warn('region reports no status', { region, detail });
      this.obstacles.set(region, obstacle);
    }
    if (before?.reachable === true) log.warn('region unreachable', { region, detail });
  }
}

const refusedForGood = new Set<ProblemCode>(['configuration_refused', 'version_mismatch']);
const unusable = new Set<FaultCode>(['wrong_region', 'malformed_answer', 'not_admitted', 'version_mismatch']);

/** Why an address answers, but not with its region's status; undefined if it does not answer, or may do so soon. */
function obstacleIn(region: string, error: unknown): string | undefined {
  if (error instanceof Refusal) return refusedForGood.has(error.code) ? `${region}: ${error.message}` : undefined;
  return error instanceof Fault && unusable.has(error.code) ? error.message : undefined;
}
