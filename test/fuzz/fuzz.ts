/**
 * A run: a cluster of real processes is sent drawn requests, raw bytes, and garbage on the stream and to the regions' own ports; then
 * it is checked that nothing but what was accepted has changed.
 */
import type { Random } from '../../shared/kernel/kernel.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { drawOne, seededRandom } from '../harness/kernel/seeded-random.ts';
import { Cluster } from '../harness/processes/cluster.ts';
import { Intruder } from '../nemesis/intruder.ts';
import { sendAll } from './client.ts';
import { Judge } from './judge.ts';
import { drawFuzzRequest } from './mutate.ts';
import { ProcessesWatch, type Turn } from './processes-watch.ts';
import { drawRawCase, HIDDEN, type RawCase, type RawOutcome, runRawCase } from './raw-cases.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly requests: number;
  /** Raw connections, beside the requests; at most this many at a time are open. */
  readonly raw: number;
  /** Messages of garbage on the stream, and requests to the regions' own ports. */
  readonly messages: number;
  /** No turn may be longer than this and the machine's longest stall, ms. */
  readonly turnLimitMs: number;
  /** No process may grow by more after the first fifth of the requests, MiB. */
  readonly memoryLimitMiB: number;
  readonly say: (line: string) => void;
}

export interface FuzzReport {
  readonly findings: readonly string[];
  readonly tookMs: number;
  readonly requests: number;
  readonly answers: ReadonlyMap<string, number>;
  readonly byRoute: ReadonlyMap<string, number>;
  readonly accepted: number;
  readonly raw: ReadonlyMap<string, number>;
  readonly messages: number;
  readonly slowest: string;
  readonly turns: readonly Turn[];
  /** How long the machine let an idle thread wait, ms. */
  readonly stallMs: number;
  readonly growth: ReadonlyMap<string, number>;
}

const RAW_AT_ONCE = 8;
/** Part of the requests after which memory is compared. */
const WARM_SHARE = 0.2;
const SAMPLE_MS = 10_000;
/** So many are sent again, one after the other. */
const DOUBTFUL_LIMIT = 100;
/** What no request causes: `other` is also the time without a processor. */
const notOfRequests = new Set(['other', 'gc', 'recovery']);
const SENTINEL = 777_777_777_777;

export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const cluster = await Cluster.start();
  try {
    return await fuzzOn(cluster, options);
  } finally {
    await cluster.stop();
  }
}

async function fuzzOn(cluster: Cluster, options: FuzzOptions): Promise<FuzzReport> {
  const { seed, requests, say, turnLimitMs, memoryLimitMiB } = options;
  const startMs = performance.now();
  const random = seededRandom(seed);
  const judge = new Judge(seed);
  const findings: string[] = [];
  const watch = new ProcessesWatch(cluster);
  await seedContents(cluster);
  const before = await snapshotOf(cluster);

  const port = Number(new URL(cluster.url).port);
  const sampling = setInterval(() => void watch.sampleTurns().catch(() => {}), SAMPLE_MS);
  const raw = new Map<string, number>();
  let rawEvents = 0;
  let doubtfulRaw: readonly RawCase[] = [];
  const onRaw = ({ name, statuses, events }: RawOutcome): void => {
    rawEvents += events;
    const what = `${name}: ${[...new Set(statuses)].join(', ') || 'no answer'}`;
    raw.set(what, (raw.get(what) ?? 0) + 1);
  };
  try {
    const rawDone = sendRaw(port, seededRandom(seed + 1), options.raw, onRaw);
    for (const [from, to] of [
      [0, Math.floor(requests * WARM_SHARE)],
      [Math.floor(requests * WARM_SHARE), requests],
    ] as const) {
      await sendPart(port, { seed, from, to, judge, say, total: requests });
      if (from === 0) await watch.startMemory();
    }
    doubtfulRaw = await rawDone;
    // A mutated drill may have no end of its own.
    for (const region of cluster.regionNames) await cluster.post('/cluster/heal', { region });
    await intrude(cluster, random, options.messages);
    await watch.sampleTurns();
  } finally {
    clearInterval(sampling);
  }

  await watch.stop();
  await calm(cluster);
  judge.isLast = true;
  for (const drawn of doubtfulRaw) {
    const outcome = await runRawCase(port, drawn);
    onRaw(outcome);
    if (outcome.flaw !== undefined) findings.push(`raw bytes, ${outcome.name}, seed ${seed}: ${outcome.flaw}`);
  }
  const doubtful = [...judge.doubtful.keys()].slice(0, DOUBTFUL_LIMIT);
  for (const index of doubtful) {
    await sendAll({ port, count: 1, draw: () => drawFuzzRequest(seed, index), judge: judge.judge });
  }
  await cluster.converged(60_000);
  const after = await snapshotOf(cluster);
  const added = after.events - before.events;
  const expected = judge.accepted + rawEvents;
  if (added < expected || added > expected + judge.unknown) {
    findings.push(
      `${expected} events were accepted and ${judge.unknown} may have been, but the log has grown by ${added}: a refused request has changed something`,
    );
  }
  for (const what of ['epoch', 'leader', 'quarantine', 'sentinel', 'retired'] as const) {
    if (after[what] !== before[what]) findings.push(`${what} was ${before[what]} and is ${after[what]}`);
  }
  if ((await cluster.get(`/items/${HIDDEN}`)).status !== 404)
    findings.push('a request hidden in another one was executed');
  findings.push(...judge.findings, ...watch.faults());
  for (const { process, activity, ms } of watch.turns) {
    if (ms > turnLimitMs + watch.stallMs && !notOfRequests.has(activity))
      findings.push(`a turn of ${process} took ${Math.round(ms)} ms: ${activity}`);
  }
  const growth = await watch.growth();
  for (const [name, mib] of growth) {
    if (mib > memoryLimitMiB) findings.push(`${name} has grown by ${mib} MiB`);
  }
  return {
    findings,
    tookMs: performance.now() - startMs,
    requests: judge.outcomes,
    answers: judge.answers,
    byRoute: judge.byRoute,
    accepted: judge.accepted,
    raw,
    messages: options.messages,
    slowest: `${Math.round(judge.slowestMs)} ms: ${judge.slowest}`,
    turns: watch.turns,
    stallMs: watch.stallMs,
    growth,
  };
}

/** Contents that reads find, and an item that no request names. */
async function seedContents(cluster: Cluster): Promise<void> {
  const items = Array.from({ length: 500 }, (_, entity) => ({
    entity_id: entity,
    metadata: {
      title: `jazz piano ${entity}`,
      category: entity % 2 === 0 ? 'music' : 'news',
      year: 1950 + (entity % 70),
    },
  }));
  const embeddings = items.map(({ entity_id }) => ({ entity_id, values: [1, 0, entity_id / 500, 0.5] }));
  const signals = items.map(({ entity_id }) => ({ entity_id, signal: 'view' }));
  const sentinel = { entity_id: SENTINEL, metadata: { title: 'sentinel' } };
  for (const [path, body] of [
    ['/items', [...items, sentinel]],
    ['/embeddings', embeddings],
    ['/signals', [...signals, { entity_id: SENTINEL, signal: 'like' }]],
  ] as const) {
    const { status, body: answer } = await cluster.post(path, body);
    if (status !== 200) throw new Error(`${path} answered ${status}: ${JSON.stringify(answer)}`);
  }
}

async function snapshotOf(cluster: Cluster) {
  const { relay_log_len: events, epoch, leader, absent_disks } = await cluster.status();
  const quarantine = JSON.stringify((await cluster.get('/cluster/quarantine')).body);
  const { metadata, signals } = (
    await cluster.get<{ metadata: unknown; signals: unknown }>(`/items/${SENTINEL}?at=2026-01-15T10:00:00Z`)
  ).body;
  return {
    events,
    epoch,
    leader,
    quarantine,
    retired: absent_disks.length,
    sentinel: JSON.stringify({ metadata, signals }),
  };
}

interface Part {
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  readonly total: number;
  readonly judge: Judge;
  readonly say: (line: string) => void;
}

async function sendPart(port: number, { seed, from, to, total, judge, say }: Part): Promise<void> {
  const step = Math.max(1, Math.round(total / 10));
  let lastMs = performance.now();
  await sendAll({
    port,
    count: to - from,
    draw: (index) => drawFuzzRequest(seed, from + index),
    judge: (outcome) => {
      judge.judge(outcome);
      if (judge.outcomes % step !== 0) return;
      const rate = Math.round((step / (performance.now() - lastMs)) * 1_000);
      lastMs = performance.now();
      say(
        `${judge.outcomes} of ${total} requests, ${rate}/s, ${judge.accepted} events accepted, ${judge.findings.length} findings`,
      );
    },
  });
}

async function sendRaw(
  port: number,
  random: Random,
  count: number,
  judge: (outcome: RawOutcome) => void,
): Promise<readonly RawCase[]> {
  let left = count;
  const doubtful: RawCase[] = [];
  const run = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const drawn = drawRawCase(random);
      const outcome = await runRawCase(port, drawn);
      judge(outcome);
      // What is due to load is not seen again.
      if (outcome.flaw !== undefined) doubtful.push(drawn);
    }
  };
  await Promise.all(Array.from({ length: RAW_AT_ONCE }, run));
  return doubtful;
}

/** Garbage where only processes of the cluster publish and ask. The intruder throws for a request that is not refused. */
async function intrude(cluster: Cluster, random: Random, count: number): Promise<void> {
  if (count === 0) return;
  const intruder = await Intruder.enter(cluster);
  try {
    for (let left = count; left > 0; left -= 50) {
      const region = drawOne(random, cluster.regionNames);
      const position = (await cluster.status()).regions.find(({ name }) => name === region)?.position;
      await intruder.publish(random, Math.min(50, left), position);
      await intruder.request(random, Math.min(50, left), region);
    }
    await intruder.overwriteKey(random, 3);
  } finally {
    await intruder.leave();
  }
}

/** Healthy, but for notes of garbage that was refused in the last minute. */
function calm(cluster: Cluster): Promise<void> {
  return eventually(
    'the cluster is healthy',
    async () => {
      const { body } = await cluster.get<{ status: string; notes: readonly string[] }>('/health');
      const notes = body.notes.filter((note) => !/refused within the last minute/.test(note));
      if (body.status === 'unavailable' || notes.length > 0) throw new Error(JSON.stringify(body));
      return true;
    },
    120_000,
  );
}
