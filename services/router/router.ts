/**
 * The router: stateless, several may run. It joins the parts; everything external is passed in, so that a simulation can run it
 * on a virtual clock with simulated links and control.
 *
 * It starts and answers `/health/live` whether or not NATS and the regions are reachable.
 */
import type Koa from 'koa';
import { createHttpApp } from '../../shared/http/http-server.ts';
import type { Clock, Random } from '../../shared/kernel/kernel.ts';
import { type Stages, startParts, stopParts } from '../../shared/kernel/parts.ts';
import type { Turns } from '../../shared/kernel/turns.ts';
import { RefusedValues } from '../../shared/leadership/refused-values.ts';
import type { Log } from '../../shared/observe/log.ts';
import type { Metrics } from '../../shared/observe/metrics.ts';
import type { Control } from '../../shared/stream/stream.ts';
import type { Topology } from '../../shared/topology/topology.ts';
import type { BrokerMetrics } from './broker/broker.ts';
import { LeadershipFollower } from './cluster/leadership.ts';
import { Promotion } from './cluster/promote.ts';
import { createClusterQuarantine } from './cluster/quarantine.ts';
import { RegionMonitor } from './cluster/regions.ts';
import { createRetireDisk } from './cluster/retire-disk.ts';
import { createReports } from './cluster/status.ts';
import { createVerify } from './cluster/verify.ts';
import type { ConsoleFiles } from './console/console.ts';
import { LiveStreams } from './console/live-streams.ts';
import { createDrillLease } from './drills/drill-lease.ts';
import { createDrills } from './drills/drills.ts';
import { createFailover } from './failover/automatic-failover.ts';
import type { FailoverSettings } from './failover/failover.ts';
import { Succession } from './failover/succession.ts';
import { WriteForwarder } from './forward/writes.ts';
import { addRoutes, answering, type CorsSettings, type RoutedParts } from './http/http.ts';
import { ControlJournal } from './journal/control-journal.ts';
import { JournalObserver } from './journal/observer.ts';
import type { KeySettings } from './keys/keys.ts';
import { createRouterKeys } from './keys/router-keys.ts';
import type { RegionLinks } from './links/links.ts';
import type { RouterConfig } from './router-config.ts';
import { createTrace } from './trace/positions-of-writes.ts';

export interface RouterOptions
  extends Pick<RouterConfig, 'maxBodyBytes' | 'maxBodiesBytes' | 'httpLimits' | 'heldWritesLimit' | 'heldWritesMs'> {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly control: Control;
  /** The key of the journal. */
  readonly journal: Control;
  /** Of the lease of drills. */
  readonly drillKey: Control;
  /** Absent: failover is manual. */
  readonly failover?: FailoverSettings | undefined;
  /** Absent if the broker's monitoring port is unknown. */
  readonly broker?: BrokerMetrics | undefined;
  readonly topology: Topology;
  /** Absent: every request is accepted. */
  readonly keys?: KeySettings | undefined;
  /** Which pages of other origins may ask; absent: none. */
  readonly cors?: CorsSettings | undefined;
  /** Absent: there is no console, and nothing is sampled for it. */
  readonly console?: { readonly files: ConsoleFiles; readonly maxLiveStreams: number } | undefined;
  /** Of what operators did; absent: `log`. */
  readonly auditLog?: Log | undefined;
  /** One a region of the topology, in its order. The router closes them. */
  readonly links: RegionLinks;
}

export interface RouterService extends RoutedParts {
  /** The request handler for the listening socket. */
  readonly app: Koa;
  /** Starts to follow the leadership and the regions. */
  start(): void;
  /** Reads the keys file now. */
  reloadKeys(): Promise<void>;
  /** From now on it reports that it is not ready, but still serves: before a stop, for balancers. */
  leave(): void;
  /** Refuses waiting and later requests. Followed by `close`. */
  drain(): void;
  close(): Promise<void>;
}

export function createRouter(options: RouterOptions): RouterService {
  const { clock, random, log, metrics, control, topology, links } = options;
  const refused = metrics.counter({
    name: 'tidal_router_control_values_refused_total',
    help: 'Readings of a value of the control bucket, or of a record a region reports, that was refused.',
  });
  const refusals = new RefusedValues({ clock, log, count: () => refused.inc() });
  const regions = new RegionMonitor({ links, clock, log, metrics });
  const leadership = new LeadershipFollower({
    control,
    topology,
    regions,
    clock,
    random,
    log,
    metrics,
    refusals,
  });
  const forwarding = new WriteForwarder({
    leadership,
    links,
    clock,
    log,
    metrics,
    heldLimit: options.heldWritesLimit,
    heldMs: options.heldWritesMs,
  });
  const { promote, replace } = new Promotion({ control, leadership, regions, links, clock, random, log, metrics });
  const names = [...links.keys()];
  const journal = new ControlJournal({ key: options.journal, clock, log, refusals });
  const observer = new JournalObserver({ journal, clock, leadership, regions, names, log });
  const succession = new Succession({
    leadership,
    regions,
    names,
    promote: async (request) => {
      const answer = await promote(request);
      observer.promoted(answer, 'succession');
      return answer;
    },
    log,
  });
  regions.onStatus((status) => {
    leadership.report(status);
    succession.consider(status);
    observer.consider(status);
  });
  const reports = createReports({
    topology,
    leadership,
    regions,
    failover: options.failover === undefined ? 'manual' : 'automatic',
  });
  const failover = createFailover({
    settings: options.failover,
    leadership,
    regions,
    links,
    replace: async (...request) => {
      const answer = await replace(...request);
      if (answer !== 'withdrawn') observer.promoted(answer, 'automatic');
      return answer;
    },
    refusals,
    clock,
    random,
    log,
    metrics,
  });
  const drills = createDrills({ links, regions, clock });
  const drillLease = createDrillLease({ key: options.drillKey, drills, regions, names, clock, refusals });
  const quarantine = createClusterQuarantine({ links, regions, log });
  const trace = createTrace({ links, regions });
  const verify = createVerify({ links, regions, clock, random, log, metrics });
  const retireDisk = createRetireDisk({ links, regions });
  const keys = createRouterKeys({ openMetrics: false, ...options.keys, clock, log, metrics });
  const live =
    options.console === undefined
      ? undefined
      : new LiveStreams({ reports, drillLease, journal, clock, metrics, limit: options.console.maxLiveStreams });
  const app = createHttpApp({
    log,
    metrics,
    clock,
    random,
    limits: options.httpLimits,
    early: (request) => keys.access.overRate(request.headers.authorization),
    ...answering(options.cors),
  });
  let draining = false;
  const parts = {
    forwarding,
    leadership,
    regions,
    reports,
    promote,
    drills,
    drillLease,
    verify,
    retireDisk,
    quarantine,
    trace,
    journal,
    journalist: observer,
  };
  addRoutes(app, {
    access: keys.access,
    openMetrics: options.keys?.openMetrics ?? false,
    auditLog: options.auditLog ?? log,
    draining: () => draining,
    topology,
    links,
    ...parts,
    forwarding: live?.counting(forwarding) ?? forwarding,
    console: live && options.console && { files: options.console.files, live },
    metrics,
    turns: options.turns,
    clock,
    broker: options.broker,
    maxBodyBytes: options.maxBodyBytes,
    maxBodiesBytes: options.maxBodiesBytes,
    // Half of all, and no less than one compressed body needs.
    maxAddressBodiesBytes:
      (options.httpLimits.addressInFlight ?? 0) === 0
        ? 0
        : Math.max(options.maxBodiesBytes / 2, 2 * options.maxBodyBytes),
  });
  const stages: Stages = [
    [...links.values()].map((link) => ({ stop: () => link.close() })),
    [succession],
    [journal, regions, leadership, failover, keys.file],
    live === undefined ? [] : [live],
  ];
  const leave = (): void => {
    draining = true;
    live?.leave();
  };
  return {
    app,
    ...parts,
    start: () => startParts(stages),
    reloadKeys: () => keys.file.reload(),
    leave,
    drain() {
      leave();
      forwarding.stop();
    },
    close: () => stopParts(stages),
  };
}
