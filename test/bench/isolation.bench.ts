/**
 * How much reads disturb writes. The whole cluster on the realistic world, eight clients that write single signals, at
 * rest and while sixteen others ask the dearest reads there are, all through the router; at rest is measured again before each read,
 * so that what else the machine does falls on both alike.
 */
import { eventually } from '../harness/kernel/eventually.ts';
import type { Cluster } from '../harness/processes/cluster.ts';
import { type Bench, type BenchResult, type BenchRow, milliseconds as ms, quantile } from './bench.ts';
import { REFUSED_PAUSE_MS, Readers, type ReadsDone } from './load/readers.ts';
import { boundlessFeed, crowdedFeed, deepPage, feed, filteredFeed, type Read, wildcard } from './load/reads.ts';
import { SCRAPE_MS, type Watched, watchRegions } from './load/region-watch.ts';
import { Writers, type WritesDone } from './load/writers.ts';
import { type BuiltWorld, builtWorld, describeProcesses, startWorld } from './world/built-world.ts';
import { describeWorld } from './world/world.ts';

const WRITERS = 8;
const READERS = 16;
const SECONDS = 60;
/** Of the time of a load. */
const REST_SHARE = 1 / 6;
const WARM_UP_MS = 5_000;
const WHOLE_LIMIT_MS = 60_000;

const worst: readonly Read[] = [
  ...(['shuffle', 'controversial', 'rising', 'hidden_gems', 'debated', 'hot', 'trending'] as const).map(feed),
  boundlessFeed,
  wildcard,
  filteredFeed,
  crowdedFeed,
  deepPage,
];

interface Slice extends Watched {
  readonly writes: WritesDone;
  readonly reads?: ReadsDone;
}

async function measure(cluster: Cluster, world: BuiltWorld, loadMs: number, report: (progress: string) => void) {
  const writers = new Writers({ url: cluster.url, clients: WRITERS, size: world.size });
  const readers = new Readers();
  const rests: Slice[] = [];
  const loads: Slice[] = [];
  const rest = async (): Promise<void> => {
    const [writes, watched] = await watchRegions(cluster, () => writers.write(loadMs * REST_SHARE));
    rests.push({ writes, ...watched });
  };
  try {
    const before = (await cluster.status()).regions.map(({ applied_events }) => applied_events);
    await writers.write(WARM_UP_MS);
    for (const read of worst) {
      await rest();
      const requests = await read.requests(cluster.url);
      let writes!: WritesDone;
      const [reads, watched] = await watchRegions(cluster, () =>
        readers.during({ url: cluster.url, requests, clients: READERS }, async () => {
          writes = await writers.write(loadMs);
        }),
      );
      loads.push({ writes, reads, ...watched });
      report(`${read.what}: ${describe(loads.at(-1)!)}; at rest ${describe(rests.at(-1)!)}`);
    }
    await rest();
    await requireWhole(cluster, before, writers);
    return { rests, loads };
  } finally {
    await readers.stop();
    await writers.stop();
  }
}

/** Nothing that was acknowledged is missing in any region: else nothing was measured. */
async function requireWhole(cluster: Cluster, before: readonly number[], writers: Writers): Promise<void> {
  const { acknowledged, unacknowledged } = writers;
  await eventually(
    `every region has applied ${acknowledged} writes`,
    async () => {
      const { regions } = await cluster.status();
      const grown = regions.map(({ applied_events }, index) => applied_events - before[index]!);
      return grown.every(
        (events) => events === grown[0] && events >= acknowledged && events <= acknowledged + unacknowledged,
      );
    },
    WHOLE_LIMIT_MS,
  );
}

function describe({ writes, reads }: Slice): string {
  const writing = `writes p99 ${ms(quantile(writes.latencies, 0.99))}`;
  return reads === undefined ? writing : `${writing}, ${reads.latencies.length} reads`;
}

function pooled(slices: readonly Slice[]): Slice {
  const sum = (of: (writes: WritesDone) => number): number =>
    slices.reduce((total, { writes }) => total + of(writes), 0);
  const turnMs = new Map<string, number>();
  for (const slice of slices) {
    for (const [region, turn] of slice.turnMs) turnMs.set(region, Math.max(turnMs.get(region) ?? 0, turn));
  }
  return {
    writes: {
      latencies: slices.flatMap(({ writes }) => writes.latencies),
      unacknowledged: sum(({ unacknowledged }) => unacknowledged),
      tookMs: sum(({ tookMs }) => tookMs),
    },
    turnMs,
    lagMs: Math.max(...slices.map(({ lagMs }) => lagMs)),
  };
}

async function resultOf(
  cluster: Cluster,
  world: BuiltWorld,
  seconds: number,
  rests: Slice[],
  loads: Slice[],
): Promise<BenchResult> {
  const rest = pooled(rests);
  const row = (what: string, { writes, reads, turnMs, lagMs }: Slice): BenchRow => {
    const perSecond = (count: number, tookMs: number): string =>
      ((count / tookMs) * 1_000).toLocaleString('en', { maximumFractionDigits: count < tookMs / 10 ? 1 : 0 });
    const latency = (share: number): string[] => {
      const value = quantile(writes.latencies, share);
      if (Number.isNaN(value)) return ['none', 'none'];
      return [ms(value), `${(value / quantile(rest.writes.latencies, share)).toFixed(1)}×`];
    };
    return {
      what,
      cells: [
        perSecond(writes.latencies.length, writes.tookMs),
        ...[0.5, 0.99, 1].flatMap(latency),
        String(writes.unacknowledged),
        reads === undefined ? '' : perSecond(reads.latencies.length, reads.tookMs),
        reads === undefined ? '' : perSecond(reads.refused, reads.tookMs),
        reads === undefined ? '' : String(reads.failed),
        ms(quantile(reads?.latencies ?? [], 0.99)),
        ...cluster.regionNames.map((region) => ms(turnMs.get(region) ?? Number.NaN)),
        ms(lagMs),
      ],
    };
  };
  return {
    columns: [
      ...['writes/s', 'p50', 'p50 to rest', 'p99', 'p99 to rest', 'max', 'max to rest', 'not acknowledged'],
      ...['reads/s', 'refused/s (503)', 'reads failed', 'read p99'],
      ...cluster.regionNames.map((region, index) => `longest turn, ${region}${index === 0 ? ' (leads)' : ''}`),
      'longest lag',
    ],
    rows: [row('at rest', rest), ...worst.map(({ what }, index) => row(what, loads[index]!))],
    notes: [
      `${WRITERS} clients write single signals through the router, each its next one when the one before is acknowledged; ${READERS} clients ask the read in the same way for ${seconds} s, a refused one again after ${REFUSED_PAUSE_MS} ms. At rest: ${rests.length} slices of ${(seconds * REST_SHARE).toFixed(0)} s, before each read and at the end.`,
      `${describeWorld(world.size)}: ${world.built.pairs.toLocaleString('en')} pairs.`,
      `${await describeProcesses()}: one thread writes, another reads. Feeds ask for 10 items where nothing else is said. Reads without \`region=\` go to the leader.`,
      `Longest turn: \`tidal_longest_turn_seconds\` or, where regions have none, \`nodejs_eventloop_lag_max_seconds\`, which holds the 10 ms between its samples; lag: \`tidal_lag_seconds\`; both scraped every ${SCRAPE_MS} ms. Waiting for a processor is in all of them.`,
      'Of fewer than 100 writes p99 is the longest. In the end every acknowledged write is applied in every region.',
    ],
  };
}

export const bench: Bench = {
  name: 'isolation',
  title: 'Single writes while 16 clients ask the worst reads, beside the same at rest',
  async run(report, settings) {
    const world = await builtWorld(settings, report);
    const seconds = settings.seconds ?? SECONDS;
    const cluster = await startWorld(world);
    try {
      report('the cluster is up');
      const { rests, loads } = await measure(cluster, world, seconds * 1_000, report);
      return await resultOf(cluster, world, seconds, rests, loads);
    } finally {
      await cluster.stop();
    }
  },
};
