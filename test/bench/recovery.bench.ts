/**
 * What comes after trouble, on the realistic world: catching up after a partition, a region's way back after `kill -9` in a
 * cluster whose other regions serve on, and comparing the regions' state.
 */
import type { Cluster } from '../harness/processes/cluster.ts';
import { type Bench, type BenchRow, type BenchSettings, median, milliseconds as ms } from './bench.ts';
import { drawEvents, ndjsonBodies } from './bulk-ingest/events.ts';
import { healed, missed } from './load/drill.ts';
import { verified } from './load/verified.ts';
import { Writers } from './load/writers.ts';
import { type BuiltWorld, builtWorld, describeProcesses, startWorld } from './world/built-world.ts';
import { type ServingTimes, untilServing } from './world/until-serving.ts';
import { describeWorld, SEED } from './world/world.ts';

const ROUNDS = 3;
const WRITERS = 8;
const BULK = 20_000;

interface Timed {
  readonly what: string;
  readonly ms: number[];
  /** What is done in that time; a rate is shown. */
  readonly events?: number;
}

async function converged(cluster: Cluster): Promise<number> {
  const { converged: isSo, reason, tookMs } = await verified(cluster);
  if (isSo !== true) throw new Error(`verify answered ${isSo}: ${reason}`);
  return tookMs;
}

async function verifying(cluster: Cluster, world: BuiltWorld): Promise<readonly Timed[]> {
  const first: number[] = [];
  const again: number[] = [];
  const written: number[] = [];
  const writers = new Writers({ url: cluster.url, clients: WRITERS, size: world.size });
  try {
    first.push(await converged(cluster));
    for (let round = 0; round < ROUNDS; round++) {
      again.push(await converged(cluster));
      const stop = new AbortController();
      const writing = writers.write(Number.POSITIVE_INFINITY, stop.signal);
      written.push(await converged(cluster).finally(() => stop.abort()));
      await writing;
    }
  } finally {
    await writers.stop();
  }
  return [
    { what: '`POST /cluster/verify` says `converged`: the first time, when regions count their state', ms: first },
    { what: 'asked again', ms: again },
    { what: `asked again while ${WRITERS} clients write`, ms: written },
  ];
}

/** Signals that a region missed while it was partitioned. */
async function healing(cluster: Cluster, { size }: BuiltWorld): Promise<readonly Timed[]> {
  const region = cluster.regionNames[1]!;
  const events = size.items;
  const bodies = ndjsonBodies(drawEvents(SEED + 2, size.items, events), BULK);
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    times.push(await healed(cluster, region, await missed(cluster, region, bodies)));
  }
  return [
    {
      what: `a partitioned region is healed, until it has applied ${events.toLocaleString('en')} signals that it missed`,
      ms: times,
      events,
    },
  ];
}

async function restarting(cluster: Cluster): Promise<readonly Timed[]> {
  const region = cluster.regionNames[2]!;
  const listening: number[] = [];
  const times: ServingTimes[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await cluster.kill(region);
    const startMs = performance.now();
    await cluster.restart(region);
    listening.push(performance.now() - startMs);
    times.push(await untilServing(cluster.regionUrls.get(region)!, startMs));
    await cluster.settled();
  }
  const row = (what: string, of: (time: ServingTimes) => number): Timed => ({ what, ms: times.map(of) });
  return [
    { what: 'a follower is started after `kill -9`, until it listens', ms: listening },
    row('until it is ready', ({ readyMs }) => readyMs),
    row('until a feed is answered', ({ feedMs }) => feedMs),
    row('until a search is answered', ({ searchMs }) => searchMs),
    row('until a filter, `max_per`, a text and `/suggest` are answered', ({ allMs }) => allMs),
  ];
}

function rowOf({ what, ms: times, events }: Timed): BenchRow {
  const rate = events === undefined ? '' : Math.round((events / median(times)) * 1_000).toLocaleString('en');
  return { what, cells: [ms(median(times)), `${ms(Math.min(...times))} … ${ms(Math.max(...times))}`, rate] };
}

async function run(report: (progress: string) => void, settings: BenchSettings): ReturnType<Bench['run']> {
  const world = await builtWorld(settings, report);
  const cluster = await startWorld(world);
  try {
    const timed: Timed[] = [];
    // Verification comes last: for a while after it regions keep their digests up, which slows what they apply.
    for (const part of [healing, restarting, verifying]) {
      const measured = await part(cluster, world);
      for (const one of measured) report(`${one.what}: ${one.ms.map(ms).join(', ')}`);
      timed.push(...measured);
    }
    return {
      columns: ['median', 'range', 'events/s'],
      rows: timed.map(rowOf),
      notes: [
        `${ROUNDS} rounds of each part; the first verification was one. Missed signals were written in bulks of ${BULK.toLocaleString('en')}. In the end \`POST /cluster/verify\` says \`converged\`.`,
        `${describeWorld(world.size)}: ${world.built.pairs.toLocaleString('en')} pairs, and what the parts before have written.`,
        `${await describeProcesses()}.`,
      ],
    };
  } finally {
    await cluster.stop();
  }
}

export const bench: Bench = {
  name: 'recovery',
  title: 'Heal, restart and verification of regions',
  run,
};
