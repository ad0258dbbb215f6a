/** What each read takes alone: the whole cluster on the realistic world, nothing is written, one client and sixteen. */
import { type Bench, milliseconds as ms, quantile } from './bench.ts';
import { Readers, type ReadsDone } from './load/readers.ts';
import {
  boundlessFeed,
  builtInProfiles,
  byVector,
  crowdedFeed,
  deepPage,
  feed,
  filteredFeed,
  type Read,
  twoWords,
  wildcard,
} from './load/reads.ts';
import { builtWorld, describeProcesses, startWorld } from './world/built-world.ts';
import { describeWorld } from './world/world.ts';

const CLIENTS = 16;
const SECONDS = 5;
const WARM_UP_MS = 1_000;

const reads: readonly Read[] = [
  ...builtInProfiles.map(feed),
  boundlessFeed,
  filteredFeed,
  crowdedFeed,
  deepPage,
  twoWords,
  wildcard,
  byVector,
];

interface Measured {
  readonly alone: ReadsDone;
  readonly together: ReadsDone;
}

function cellsOf({ alone, together }: Measured): string[] {
  const notAnswered = together.refused + together.failed;
  return [
    ...[alone, together].flatMap(({ latencies }) => [0.5, 0.99].map((share) => ms(quantile(latencies, share)))),
    ((together.latencies.length / together.tookMs) * 1_000).toLocaleString('en', { maximumFractionDigits: 0 }),
    String(notAnswered),
  ];
}

export const bench: Bench = {
  name: 'reads',
  title: 'What each read takes, one client and 16',
  async run(report, settings) {
    const world = await builtWorld(settings, report);
    const cluster = await startWorld(world);
    const readers = new Readers();
    try {
      const measured: Measured[] = [];
      for (const read of reads) {
        const requests = await read.requests(cluster.url);
        const asked = (clients: number, forMs: number): Promise<ReadsDone> =>
          readers.during(
            { url: cluster.url, requests, clients },
            () => new Promise((resolve) => setTimeout(resolve, forMs)),
          );
        await asked(1, WARM_UP_MS);
        const alone = await asked(1, SECONDS * 1_000);
        const together = await asked(CLIENTS, SECONDS * 1_000);
        measured.push({ alone, together });
        report(`${read.what}: ${cellsOf(measured.at(-1)!).join(', ')}`);
      }
      return {
        columns: ['1 client: p50', 'p99', `${CLIENTS} clients: p50`, 'p99', 'reads/s', 'refused or failed'],
        rows: reads.map(({ what }, index) => ({ what, cells: cellsOf(measured[index]!) })),
        notes: [
          `Each read for ${SECONDS} s by one client and for as long by ${CLIENTS}, each asking again when it was answered, through the router; nothing is written. Feeds and searches ask for 10 items where nothing else is said; reads without \`region=\` go to the leader.`,
          `${describeWorld(world.size)}: ${world.built.pairs.toLocaleString('en')} pairs.`,
          `${await describeProcesses()}.`,
        ],
      };
    } finally {
      await readers.stop();
      await cluster.stop();
    }
  },
};
