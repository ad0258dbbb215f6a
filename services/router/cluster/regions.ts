/**
 * Asks every region for its status once a second and at need, and remembers the last answer of each: an unreachable
 * region is shown with its last known numbers.
 */
import { messageOf, Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { type Repetition, repeat } from '../../../shared/kernel/repeat.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { POLL_MS } from '../../../shared/protocol/deadlines.ts';
import type { RegionStatus } from '../../../shared/protocol/internal.ts';
import { reportedApplied, reportedDurable, totalOf } from '../../../shared/protocol/position.ts';
import type { RegionLinks } from '../forward/forward.ts';
import type { KnownRegion, RegionsView } from './cluster.ts';

export interface RegionMonitorOptions {
  readonly links: RegionLinks;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Told of every answer. */
  readonly onStatus: (status: RegionStatus) => void;
}

export class RegionMonitor implements RegionsView {
  private readonly options: RegionMonitorOptions;
  private readonly last = new Map<string, KnownRegion>();
  private readonly refusals = new Map<string, string>();
  private loops: readonly Repetition[] = [];

  constructor(options: RegionMonitorOptions) {
    this.options = options;
    const { metrics, links } = options;
    metrics.gauge({
      name: 'tidal_router_region_reachable',
      help: '1 when the region answered the last question of this router.',
      labels: ['region'],
      collect: (gauge) => {
        for (const region of links.keys()) gauge.set({ region }, this.last.get(region)?.reachable ? 1 : 0);
      },
    });
    metrics.gauge({
      name: 'tidal_router_region_applied_events',
      help: 'Events the region had applied when it last answered this router.',
      labels: ['region'],
      collect: (gauge) => {
        for (const [region, known] of this.last) gauge.set({ region }, totalOf(known.applied));
      },
    });
  }

  start(): void {
    const { clock, links } = this.options;
    if (this.loops.length > 0) return;
    this.loops = [...links.keys()].map((region) =>
      repeat({
        clock,
        pauseMs: POLL_MS,
        action: async () => {
          await this.ask(region);
        },
      }),
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.stop()));
  }

  known(region: string): KnownRegion | undefined {
    return this.last.get(region);
  }

  refused(region: string): string | undefined {
    return this.refusals.get(region);
  }

  async ask(region: string): Promise<KnownRegion | undefined> {
    const link = this.options.links.get(region);
    if (link === undefined) return undefined;
    try {
      return this.take(await link.status());
    } catch (error) {
      // A refusal is no status either: whatever the region means, its numbers are not known to be new.
      const refused = error instanceof Refusal && error.code === 'configuration_refused';
      if (!refused) this.refusals.delete(region);
      else if (!this.refusals.has(region)) this.options.log.warn(error.message, { region });
      if (refused) this.refusals.set(region, error.message);
      this.lose(region, messageOf(error));
      return undefined;
    }
  }

  private take(status: RegionStatus): KnownRegion {
    const { log, onStatus } = this.options;
    const before = this.last.get(status.region);
    const known: KnownRegion = {
      status,
      durable: reportedDurable(status),
      applied: reportedApplied(status),
      reachable: true,
    };
    this.last.set(status.region, known);
    this.refusals.delete(status.region);
    if (before?.reachable !== true) log.info('region reachable', { region: status.region });
    onStatus(status);
    return known;
  }

  private lose(region: string, detail: string): void {
    const before = this.last.get(region);
    if (before?.reachable !== true) return;
    this.last.set(region, { ...before, reachable: false });
    this.options.log.warn('region unreachable', { region, detail });
  }
}
