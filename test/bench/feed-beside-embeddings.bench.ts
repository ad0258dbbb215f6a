/**
 * How long a feed takes at rest, and while embeddings arrive and enter the graph: real processes (nats-server, one region,
 * router) on this machine, the feed requested at a steady rate through the router, each answer timed from when its request was
 * due.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'undici';
import { Cluster } from '../harness/processes/cluster.ts';
import type { Bench, BenchRow } from './bench.ts';
import { EmbeddingWriter } from './embedding-writer.ts';

const EMBEDDINGS = 10_000;
/** Each part takes its turn so often, one after another: what else the machine does falls on all of them alike. */
const SLICES = 20;
const SLICE_EMBEDDINGS = 1_000;
const REST_MS = 1_000;
const DIMENSIONS = 128;
const PACED_PER_SECOND = 1_000;
/** How embeddings arrive: so many together, so often. 0: as soon as those before were taken. */
const ARRIVALS = [10, 100].flatMap((bulk) => [
  {
    what: `bulks of ${bulk}, ${PACED_PER_SECOND.toLocaleString('en')} a second`,
    bulk,
    everyMs: (1_000 * bulk) / PACED_PER_SECOND,
  },
  { what: `bulks of ${bulk}, as fast as they are taken`, bulk, everyMs: 0 },
]);
const EVERY_MS = 10;
const LOOK_MS = 500;

const schema = `
signals:
  view: { sentiment: positive, half_life: 24h }
  share: { sentiment: positive, half_life: 24h }
text: { fields: { title: {} } }
embedding: { dimensions: ${DIMENSIONS} }
`;

export const bench: Bench = {
  name: 'feed-beside-embeddings',
  title: `Feed while ${EMBEDDINGS.toLocaleString('en')} embeddings arrive, beside the same feed at rest`,
  async run(report) {
    const directory = mkdtempSync(join(tmpdir(), 'tidal-bench-'));
    const schemaFile = join(directory, 'schema.yaml');
    writeFileSync(schemaFile, schema);
    const cluster = await Cluster.start({ regions: ['us-east'], schemaFile });
    const feeds = new Pool(cluster.url, { connections: 64, pipelining: 1 });
    const writer = new EmbeddingWriter();
    let written = 0;
    const prepare = (bulk: number, everyMs: number): Promise<void> => {
      const slice = written++;
      const first = (slice * SLICE_EMBEDDINGS) % EMBEDDINGS;
      const { url } = cluster;
      const size = { first, count: SLICE_EMBEDDINGS, dimensions: DIMENSIONS };
      return writer.prepare({ url, seed: slice + 100, ...size, bulk, everyMs });
    };
    try {
      await fill(cluster, EMBEDDINGS, report);
      // A graph is there from the first slice on.
      while (written < EMBEDDINGS / SLICE_EMBEDDINGS) {
        await prepare(100, 0);
        await embed(cluster, writer);
      }
      const atRest: number[] = [];
      const arriving = ARRIVALS.map((): number[] => []);
      for (let slice = -2; slice < SLICES; slice++) {
        const latencies = [await feedUntil(feeds, rest(cluster))];
        for (const { bulk, everyMs } of ARRIVALS) {
          await prepare(bulk, everyMs);
          latencies.push(await feedUntil(feeds, embed(cluster, writer)));
        }
        if (slice < 0) continue;
        for (const [index, all] of [atRest, ...arriving].entries()) all.push(...latencies[index]!);
        const [own, ...p99s] = [atRest, ...arriving].map((all) => ms(quantile(all, 0.99)));
        if (slice % 5 === 4) report(`p99 so far: ${own} at rest, ${p99s.join(', ')} beside embeddings`);
      }
      const row = (what: string, latencies: readonly number[]): BenchRow => ({
        what,
        cells: [0.5, 0.9, 0.99].flatMap((share) => [
          ms(quantile(latencies, share)),
          `${(quantile(latencies, share) / quantile(atRest, share)).toFixed(2)}×`,
        ]),
      });
      return {
        columns: ['p50', 'to rest', 'p90', 'to rest', 'p99', 'to rest'],
        rows: [row('at rest', atRest), ...ARRIVALS.map(({ what }, index) => row(what, arriving[index]!))],
        notes: [
          `${SLICES} slices of each in turn, of ${SLICE_EMBEDDINGS.toLocaleString('en')} embeddings of ${DIMENSIONS} dimensions: ` +
            `each of ${EMBEDDINGS.toLocaleString('en')} items gets another one several times; a slice lasts until its vectors are in the graph`,
          `GET /feed?profile=trending&limit=20 every ${EVERY_MS} ms, timed from when it was due: ${atRest.length} at rest, ` +
            `${arriving.map(({ length }) => length).join(', ')} beside embeddings`,
          'nats-server, one region, router, the client that asks and the one that writes share the machine; the two clients are threads of one process',
        ],
      };
    } finally {
      await writer.stop();
      await feeds.destroy();
      await cluster.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

async function write(cluster: Cluster, path: string, writes: unknown): Promise<void> {
  const { status, body } = await cluster.post(path, writes);
  if (status !== 200) throw new Error(`${path}: ${JSON.stringify(body)}`);
}

async function fill(cluster: Cluster, count: number, report: (progress: string) => void): Promise<void> {
  for (let from = 0; from < count; from += 2_000) {
    const entities = Array.from({ length: 2_000 }, (_, index) => from + index);
    await write(
      cluster,
      '/items',
      entities.map((entity_id) => ({
        entity_id,
        metadata: { title: `item ${entity_id}`, category: `c${entity_id % 7}` },
      })),
    );
    await write(
      cluster,
      '/signals',
      entities
        .filter((entity) => entity % 10 === 0)
        .map((entity_id) => ({ entity_id, signal: 'view', weight: (entity_id % 97) + 1 })),
    );
  }
  report(`${count} items are there`);
}

/** Until the vectors of the slice are in the graph. */
async function embed(cluster: Cluster, writer: EmbeddingWriter): Promise<void> {
  await writer.send();
  do await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  while (!(await isComplete(cluster)));
}

/** Nothing but the looks that there are beside embeddings as well: each takes the region's thread some milliseconds. */
async function rest(cluster: Cluster): Promise<void> {
  for (let look = 0; look < REST_MS / LOOK_MS; look++) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    await isComplete(cluster);
  }
}

async function isComplete(cluster: Cluster): Promise<boolean> {
  const { body } = await cluster.region<string>('us-east', '/metrics');
  const of = (name: string): number => Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(body)?.[1]);
  // The first ones are too few for a graph.
  return of('tidal_vectors') < EMBEDDINGS || of('tidal_vectors_in_graph') === EMBEDDINGS;
}

/** Asks for a feed at a steady rate until `end` resolves. */
async function feedUntil(feeds: Pool, end: Promise<unknown>): Promise<number[]> {
  const latencies: number[] = [];
  const waiting = new Set<Promise<void>>();
  let over = false;
  const ended = end.then(() => {
    over = true;
  });
  for (let dueMs = performance.now(); !over; dueMs += EVERY_MS) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
    const one = (async () => {
      const { statusCode, body } = await feeds.request({ method: 'GET', path: '/feed?profile=trending&limit=20' });
      await body.text();
      if (statusCode !== 200) throw new Error(`the feed answered ${statusCode}`);
      latencies.push(performance.now() - dueMs);
    })();
    waiting.add(one);
    void one.finally(() => waiting.delete(one));
  }
  await ended;
  await Promise.all(waiting);
  return latencies;
}

function quantile(values: readonly number[], share: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length * share)]!;
}

function ms(value: number): string {
  return `${value.toFixed(2)} ms`;
}
