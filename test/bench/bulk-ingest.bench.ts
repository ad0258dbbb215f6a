/**
 * Rows 2 and 13: bulks of signals through the real HTTP surface of a whole cluster until all three regions have applied
 * them, beside Redis with two replicas that takes the same events as stream entries and sorted sets; at ten and a hundred
 * times the items.
 */
import { type Bench, type BenchRow, median } from './bench.ts';
import { drawEvents, ndjsonBodies, redisPipelines, type SignalEvent } from './bulk-ingest/events.ts';
import { type Processes, quiet, spentAtRest, spentSince, type Times, timesOf } from './bulk-ingest/processor-time.ts';
import { RedisTrio, withoutRedis } from './bulk-ingest/redis-trio.ts';
import { Tidal } from './bulk-ingest/tidal.ts';

const SIZES = [10_000, 100_000, 1_000_000];
const EVENTS = 200_000;
const ROUNDS = 5;
const SEED = 20_261_125;
/** Tried before anything counts; the fastest is taken. */
const BULKS = [
  { bulk: 5_000, connections: 4 },
  { bulk: 10_000, connections: 4 },
  { bulk: 10_000, connections: 8 },
  { bulk: 20_000, connections: 4 },
];
const PIPELINES = [
  { size: 20, ahead: 4 },
  { size: 100, ahead: 4 },
  { size: 100, ahead: 16 },
  { size: 1_000, ahead: 8 },
];

interface Contender {
  readonly processes: Processes;
  /** Sends all events and resolves when they are everywhere. */
  send(events: number): Promise<void>;
}

interface Round {
  readonly eventsPerSecond: number;
  readonly spent: Times;
}

export const bench: Bench = {
  name: 'bulk-ingest',
  title: 'Bulks of signals until three regions have applied them, beside Redis with two replicas',
  nodeFlags: ['--max-old-space-size=4096'],
  async run(report) {
    const missing = withoutRedis();
    if (missing !== undefined) throw new Error(missing);
    const rows: BenchRow[] = [];
    const notes: string[] = [];
    for (const items of SIZES) rows.push(...(await measure(items, report, notes)));
    return {
      columns: ['events/s, median', 'range', 'to Redis', ...COST_COLUMNS],
      rows,
      notes: [
        `A round: ${EVENTS.toLocaleString('en')} signals, Zipf over the items, of the six default signals. ${ROUNDS} rounds of each in turn after one that does not count; every item is there and had one signal before.`,
        'tidalDB: POST /signals, NDJSON, to the router of a whole cluster - router, three regions, nats-server with sync_interval: always, each a process of this machine; durable in the leader’s log before it is answered, over when all three regions have flushed and applied the last event. Each event enters four windows, a decayed score and what bounds feeds.',
        'Redis: the same events as XADD and four ZINCRBY, one a window, into one primary with two replicas, appendfsync everysec, no rewriting and no snapshots; over when WAIT says that both replicas have all of it.',
        ...notes,
        'Processor time: user and system of each process over the rounds that count and until it is quiet after each, checkpoints included, what it spends at rest not, per event; two followers, and two replicas, together. The client is this benchmark’s process; bodies and pipelines are made before.',
        `Seed ${SEED}.`,
      ],
    };
  },
};

const COST_COLUMNS = [
  'µs of processor an event',
  'client',
  'router',
  'leader / primary',
  'followers / replicas',
  'broker',
];

async function measure(items: number, report: (progress: string) => void, notes: string[]): Promise<BenchRow[]> {
  const events = drawEvents(SEED, items, EVENTS);
  const tidal = await Tidal.start();
  let redis: RedisTrio | undefined;
  try {
    redis = await RedisTrio.start();
    await fill(tidal, redis, items, report);
    const [ours, bulk] = await fastest(BULKS, (way) => overTidal(tidal, events, way));
    const [theirs, pipeline] = await fastest(PIPELINES, (way) => overRedis(redis!, events, way));
    notes.push(
      `${items.toLocaleString('en')} items: the fastest of what was tried was bulks of ${bulk.bulk.toLocaleString('en')} over ${bulk.connections} connections, and pipelines of ${pipeline.size.toLocaleString('en')} events with ${pipeline.ahead} under way.`,
    );
    const others = [...tidal.processes, ...redis.processes];
    await quiet(others);
    const rest = await spentAtRest(others);
    const rounds: [Round[], Round[]] = [[], []];
    for (let round = -1; round < ROUNDS; round++) {
      const pair = [await timedRound(ours, rest), await timedRound(theirs, rest)] as const;
      const [a, b] = pair.map(({ eventsPerSecond }) => eventsPerSecond);
      report(`${items} items: ${rate(a!)} events/s beside ${rate(b!)}`);
      if (round >= 0) pair.forEach((one, index) => void rounds[index]!.push(one));
    }
    await check(tidal, redis);
    const ratio = median(rounds[0].map(({ eventsPerSecond }, i) => eventsPerSecond / rounds[1][i]!.eventsPerSecond));
    return [
      row('tidalDB', items, rounds[0], `${ratio.toFixed(2)}×`, [
        'client',
        'router',
        'leader',
        'followers',
        'nats-server',
      ]),
      row(`Redis ${redis.version}`, items, rounds[1], '1×', ['client', '', 'Redis primary', 'Redis replicas', '']),
    ];
  } finally {
    await redis?.stop();
    await tidal.stop();
  }
}

function overTidal(tidal: Tidal, events: readonly SignalEvent[], { bulk, connections }: (typeof BULKS)[0]): Contender {
  const bodies = ndjsonBodies(events, bulk);
  return {
    processes: [['client', process.pid], ...tidal.processes],
    send: (count) => tidal.send(bodies.slice(0, Math.ceil(count / bulk)), connections),
  };
}

function overRedis(
  redis: RedisTrio,
  events: readonly SignalEvent[],
  { size, ahead }: (typeof PIPELINES)[0],
): Contender {
  const pipelines = redisPipelines(events, size);
  return {
    processes: [['client', process.pid], ...redis.processes],
    send: (count) => redis.send(pipelines.slice(0, Math.ceil(count / size)), size, count, ahead),
  };
}

/** Every item, and one signal of each. */
async function fill(tidal: Tidal, redis: RedisTrio, items: number, report: (progress: string) => void): Promise<void> {
  report(`${items} items`);
  await tidal.putItems(items);
  for (let first = 1; first <= items; first += EVENTS) {
    const count = Math.min(EVENTS, items - first + 1);
    const some = Array.from({ length: count }, (_, index) => ({ entity: first + index, signal: 'view' }));
    await overTidal(tidal, some, { bulk: 5_000, connections: 4 }).send(count);
    await overRedis(redis, some, { size: 1_000, ahead: 8 }).send(count);
  }
  await quiet([...tidal.processes, ...redis.processes]);
}

/** Each way once with half the events, after a first one that warms up. */
async function fastest<T>(ways: readonly T[], contender: (way: T) => Contender): Promise<[Contender, T]> {
  let best: { readonly ms: number; readonly way: T } | undefined;
  await contender(ways[0]!).send(EVENTS / 2);
  for (const way of ways) {
    const tried = contender(way);
    await quiet(tried.processes);
    const startMs = performance.now();
    await tried.send(EVENTS / 2);
    const ms = performance.now() - startMs;
    if (best === undefined || ms < best.ms) best = { ms, way };
  }
  return [contender(best!.way), best!.way];
}

async function timedRound({ processes, send }: Contender, rest: Times): Promise<Round> {
  const before = timesOf(processes);
  const startMs = performance.now();
  await send(EVENTS);
  const sentMs = performance.now();
  const client = spentSince(before, processes).get('client') ?? 0;
  await quiet(processes.filter(([name]) => name !== 'client'));
  const waitedMs = performance.now() - sentMs;
  const spent = [...spentSince(before, processes)].map(([name, ms]): [string, number] => [
    name,
    name === 'client' ? client : ms - waitedMs * (rest.get(name) ?? 0),
  ]);
  return { eventsPerSecond: (EVENTS / (sentMs - startMs)) * 1_000, spent: new Map(spent) };
}

/** Checks that neither system was fast by losing events. */
async function check(tidal: Tidal, redis: RedisTrio): Promise<void> {
  for (const applied of await tidal.applied()) {
    if (applied !== tidal.taken) throw new Error(`${tidal.taken} events were taken and ${applied} applied`);
  }
  if ((await redis.length()) !== redis.sent) throw new Error('Redis lacks entries');
}

function row(what: string, items: number, rounds: readonly Round[], ratio: string, names: readonly string[]): BenchRow {
  const rates = rounds.map(({ eventsPerSecond }) => eventsPerSecond);
  const perEvent = (name: string): number =>
    (rounds.reduce((sum, { spent }) => sum + (spent.get(name) ?? 0), 0) / rounds.length / EVENTS) * 1_000;
  const all = names.filter((name) => name !== '').reduce((sum, name) => sum + perEvent(name), 0);
  return {
    what: `${what}, ${items.toLocaleString('en')} items`,
    cells: [
      rate(median(rates)),
      `${rate(Math.min(...rates))} - ${rate(Math.max(...rates))}`,
      ratio,
      all.toFixed(2),
      ...names.map((name) => (name === '' ? '' : perEvent(name).toFixed(2))),
    ],
  };
}

function rate(eventsPerSecond: number): string {
  return Math.round(eventsPerSecond).toLocaleString('en');
}
