/** A router over three regions in memory, on a clock of the test's choice. */
import { Heartbeat } from '../../../services/region/heartbeat/heartbeat.ts';
import type { BrokerMetrics } from '../../../services/router/broker/broker.ts';
import { readConsoleFiles } from '../../../services/router/console/console-files.ts';
import type { KeySettings } from '../../../services/router/keys/keys.ts';
import { createRouter, type RouterService } from '../../../services/router/router.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { aliveKey, DRILL_KEY, JOURNAL_KEY } from '../../../shared/leadership/leadership.ts';
import type { Log } from '../../../shared/observe/log.ts';
import { createMetrics, type Metrics } from '../../../shared/observe/metrics.ts';
import type { Topology } from '../../../shared/topology/topology.ts';
import { ManualClock } from '../kernel/manual-clock.ts';
import { seededRandom } from '../kernel/seeded-random.ts';
import { silentLog } from '../observe/silent-log.ts';
import { MemoryControl, MemoryKeys } from '../stream/memory-control.ts';
import { MemoryRegion } from './memory-region.ts';

export const names = ['us-east', 'eu-west', 'ap-south'] as const;

export const topology: Topology = {
  regions: names.map((name) => ({ name, url: `http://${name}:9510` })),
  firstLeader: 'us-east',
};

export interface MemoryCluster<C extends Clock> {
  readonly clock: C;
  readonly control: MemoryControl;
  readonly regions: ReadonlyMap<string, MemoryRegion>;
  readonly usEast: MemoryRegion;
  readonly euWest: MemoryRegion;
  readonly apSouth: MemoryRegion;
  readonly metrics: Metrics;
  readonly router: RouterService;
  readonly keys: MemoryKeys;
  /** The regions' heartbeats, with automatic failover. */
  readonly hearts: ReadonlyMap<string, Heartbeat>;
}

export interface MemoryClusterOptions {
  readonly heldWritesLimit?: number;
  readonly heldWritesMs?: number;
  readonly maxBodiesBytes?: number;
  /** A record in the key from the beginning. */
  readonly led?: boolean;
  /** Automatic failover after this long; the regions' hearts beat then. */
  readonly failoverAfterMs?: number;
  readonly log?: Log;
  readonly keys?: KeySettings;
  readonly broker?: BrokerMetrics;
  /** With it there is a console. */
  readonly maxLiveStreams?: number;
}

export function memoryCluster(options?: MemoryClusterOptions): MemoryCluster<ManualClock>;
export function memoryCluster<C extends Clock>(options: MemoryClusterOptions, clock: C): MemoryCluster<C>;
export function memoryCluster(
  {
    heldWritesLimit = 2_000,
    heldWritesMs = 10_000,
    maxBodiesBytes = 128 * 1024 * 1024,
    led = true,
    failoverAfterMs,
    log = silentLog,
    keys: accessKeys,
    broker,
    maxLiveStreams,
  }: MemoryClusterOptions = {},
  clock: Clock = new ManualClock(),
): MemoryCluster<Clock> {
  const control = new MemoryControl();
  if (led) control.put({ leader: 'us-east', epoch: 1, nonce: 'first' });
  const [usEast, euWest, apSouth] = names.map((region) => new MemoryRegion({ region, control, clock })) as [
    MemoryRegion,
    MemoryRegion,
    MemoryRegion,
  ];
  const regions = new Map([usEast, euWest, apSouth].map((region) => [region.region, region]));
  for (const region of regions.values()) region.peers = [...regions.values()].filter((peer) => peer !== region);
  const metrics = createMetrics({ process: 'router', name: 'router', nodeMetrics: false });
  const keys = new MemoryKeys(control);
  const hearts = new Map<string, Heartbeat>();
  if (failoverAfterMs !== undefined) {
    for (const { region } of regions.values()) {
      const cut = (): boolean => regions.get(region)?.isCut === true;
      const heart = new Heartbeat({ clock, log, region, key: keys.key(aliveKey(region)), partitioned: cut });
      heart.start();
      hearts.set(region, heart);
    }
  }
  const router = createRouter({
    clock,
    random: seededRandom(7),
    log,
    failover: failoverAfterMs === undefined ? undefined : { afterMs: failoverAfterMs, keys: keys.key },
    metrics,
    keys: accessKeys,
    broker,
    console: maxLiveStreams === undefined ? undefined : { files: readConsoleFiles(), maxLiveStreams },
    control,
    journal: keys.key(JOURNAL_KEY),
    drillKey: keys.key(DRILL_KEY),
    topology,
    links: regions,
    maxBodyBytes: 2 * 1024 * 1024,
    maxBodiesBytes,
    httpLimits: { inFlight: 4_096, arrivingBodies: 512, answersBytes: 128 * 1024 * 1024 },
    heldWritesLimit,
    heldWritesMs,
  });
  return { clock, control, regions, usEast, euWest, apSouth, metrics, router, keys, hearts };
}
