/**
 * What a checkpoint does to the event loop of a region with a million items that takes 10,000 signals a second: the whole
 * state and the real store in one process, passes and pauses without one in turn.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type IntervalHistogram, monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { chainHash, NO_PREDECESSOR } from '../../services/region/batch/batch.ts';
import { createCheckpointer } from '../../services/region/checkpoint/checkpointer.ts';
import { BatchBuilder } from '../../services/region/intake/batch-builder.ts';
import { recover } from '../../services/region/recover/recover.ts';
import { loadSchema } from '../../services/region/schema/parse-schema.ts';
import { createRegisters } from '../../services/region/state/catalog/registers.ts';
import { Entities } from '../../services/region/state/entities/entities.ts';
import { createFilterIndex } from '../../services/region/state/filter-index/bitmap-filter-index.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import { createTextIndex } from '../../services/region/state/text/text-index.ts';
import { openLmdbStore } from '../../services/region/store/lmdb-store.ts';
import { openLog } from '../../services/region/wal/log.ts';
import { systemClock } from '../../shared/kernel/system.ts';
import { unreadMetrics } from '../harness/observe/counted-metrics.ts';
import { silentLog } from '../harness/observe/silent-log.ts';
import { type Bench, type BenchResult, median } from './bench.ts';
import { fillStore } from './world/fill-store.ts';
import { Traffic } from './world/traffic.ts';
import { describeWorld, EXPONENT, SEED, worldSize, writeWorldSchema } from './world/world.ts';

const SIZE = worldSize();
const SINCE = 1_000;
const ROUNDS = 5;
/** Signals of one batch, and how often one is written: 10,000 a second. */
const BATCH = 100;
const EVERY_MS = 10;
const REST_MS = 10_000;
const LIMIT_MS = 50;

/** Delays of the event loop, ms. */
interface Delays {
  readonly p99Ms: number;
  readonly maxMs: number;
  /** The longest, without the time for which the thread could have run and had no processor. */
  readonly ownMaxMs: number;
  /** Longest collection of garbage. */
  readonly collectionMs: number;
}

interface Pass extends Delays {
  readonly durationMs: number;
  readonly bytes: number;
  /** Longest step that works without a break, ms of processor time: sorting pairs, encoding a shard, packing quiet pairs. */
  readonly stepMs: number;
}

async function run(report: (progress: string) => void): Promise<BenchResult> {
  const directory = mkdtempSync(join(tmpdir(), 'tidal-bench-checkpoint-'));
  try {
    report(`filling a store: ${JSON.stringify(SIZE)}`);
    const schemaFile = writeWorldSchema(directory);
    await fillStore({ directory, schemaFile, size: SIZE, since: SINCE });
    const schema = loadSchema(schemaFile);
    const wal = openLog({ store: openLmdbStore({ path: directory }) });
    const entities = new Entities();
    const catalog = createRegisters({ entities });
    const ledger = createLedger({ schema, entities, createdMs: (ordinal) => catalog.createdMs(ordinal) });
    const filterIndex = createFilterIndex({ entities, metadataOf: (ordinal) => catalog.indexedMetadata(ordinal) });
    const text = createTextIndex({ schema, entities });
    const parts = { wal, catalog, ledger, filterIndex, text };
    const { checkpointPosition: floor, indexing } = recover({ clock: systemClock, log: silentLog, ...parts });
    report('telling filter index and text of the items');
    indexing.start();
    while (!indexing.complete) await pause(100);

    const origin = 'us-east@checkpoint';
    await wal.openOrigin(origin, 2);
    const traffic = new Traffic({ seed: SEED + 1, items: SIZE.items, exponent: EXPONENT });
    let writing = true;
    const writer = (async () => {
      let first = 1;
      let chain = NO_PREDECESSOR;
      for (let nextMs = performance.now(); writing; nextMs += EVERY_MS) {
        await pause(Math.max(0, nextMs - performance.now()));
        const builder = new BatchBuilder();
        const nowMs = Date.now();
        for (let index = 0; index < BATCH; index++) builder.add(traffic.signal(nowMs, index));
        const batch = builder.build({ origin, epoch: 2, first, schemaHash: schema.hash, chain });
        chain = chainHash(batch.bytes);
        first = batch.last + 1;
        await wal.append({ batches: [batch], own: true });
        for (const event of batch.events) {
          if (event.kind === 'signal') ledger.add(event.entity, event.signal, event.weight, event.timeMs);
        }
      }
    })();

    let stepMs = 0;
    const stepped = <T>(work: () => T): T => {
      const before = process.cpuUsage();
      const result = work();
      const { user, system } = process.cpuUsage(before);
      stepMs = Math.max(stepMs, (user + system) / 1_000);
      return result;
    };
    let written = { bytes: 0, durationMs: 0 };
    const checkpoint = createCheckpointer({
      metrics: unreadMetrics,
      clock: systemClock,
      log: silentLog,
      wal,
      ledger: {
        pairs: ledger.pairs,
        changed: (shard) => ledger.changed(shard),
        pack: (...limits) => stepped(() => ledger.pack(...limits)),
        pass() {
          const pass = ledger.pass();
          return {
            prepare: (limit) => stepped(() => pass.prepare(limit)),
            encode: (shard) => stepped(() => pass.encode(shard)),
          };
        },
      },
      applied: () => wal.durable,
      checkpointPosition: floor,
      eventsLimit: Number.MAX_SAFE_INTEGER,
      intervalMs: Number.MAX_SAFE_INTEGER,
      onFatal(error) {
        throw error;
      },
      onPass(pass) {
        written = pass;
      },
    });

    const rests: Delays[] = [];
    const passes: Pass[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      const rest = await watched(() => pause(REST_MS));
      stepMs = 0;
      const delays = await watched(() => checkpoint.now());
      const pass = { ...delays, ...written, stepMs };
      report(
        `pass ${round}: ${ms(pass.durationMs)}, delay ${ms(pass.maxMs)} (own ${ms(pass.ownMaxMs)}) at most, at rest ${ms(rest.maxMs)}, collection ${ms(pass.collectionMs)}`,
      );
      if (round === 0) continue;
      rests.push(rest);
      passes.push(pass);
    }
    writing = false;
    await writer;
    const { pairs } = ledger;
    await wal.close();
    return result(pairs, rests, passes);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function watched(work: () => Promise<unknown>): Promise<Delays> {
  const delay: IntervalHistogram = monitorEventLoopDelay({ resolution: 1 });
  let collectionMs = 0;
  const collections = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) collectionMs = Math.max(collectionMs, duration);
  });
  collections.observe({ entryTypes: ['gc'] });
  const own = new OwnDelay();
  delay.enable();
  await work();
  delay.disable();
  const ownMaxMs = own.stop();
  await pause(10);
  collections.disconnect();
  return { p99Ms: delay.percentile(99) / 1e6, maxMs: delay.max / 1e6, ownMaxMs, collectionMs };
}

/**
 * Delays of a 1 ms timer less what the kernel says the main thread waited for a processor meanwhile (`schedstat`, its second
 * number, ns): what a machine with nothing else to do would show.
 */
class OwnDelay {
  private readonly file = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
  private readonly buffer = Buffer.alloc(128);
  private timer: NodeJS.Timeout;
  private atMs = performance.now();
  private waitedMs = this.read();
  private maxMs = 0;

  constructor() {
    this.timer = setTimeout(() => this.look(), 1);
  }

  stop(): number {
    clearTimeout(this.timer);
    closeSync(this.file);
    return this.maxMs;
  }

  private look(): void {
    const waitedMs = this.read();
    const nowMs = performance.now();
    this.maxMs = Math.max(this.maxMs, nowMs - this.atMs - 1 - (waitedMs - this.waitedMs));
    this.atMs = nowMs;
    this.waitedMs = waitedMs;
    this.timer = setTimeout(() => this.look(), 1);
  }

  private read(): number {
    const length = readSync(this.file, this.buffer, 0, this.buffer.length, 0);
    return Number(this.buffer.toString('ascii', 0, length).split(' ')[1]) / 1e6;
  }
}

function result(pairs: number, rests: readonly Delays[], passes: readonly Pass[]): BenchResult {
  const cells = (values: readonly number[]): string[] => [
    ms(median(values)),
    `${ms(Math.min(...values))} … ${ms(Math.max(...values))}`,
  ];
  const row = (what: string, values: readonly number[]) => ({ what, cells: cells(values) });
  return {
    columns: ['median', 'range'],
    rows: [
      row(
        'longest delay of the event loop during a pass',
        passes.map(({ maxMs }) => maxMs),
      ),
      row(
        'longest delay in 10 s without a pass',
        rests.map(({ maxMs }) => maxMs),
      ),
      row(
        'the longest during a pass, without waiting for a processor',
        passes.map(({ ownMaxMs }) => ownMaxMs),
      ),
      row(
        'the longest in 10 s without a pass, likewise',
        rests.map(({ ownMaxMs }) => ownMaxMs),
      ),
      row(
        '99th percentile during a pass',
        passes.map(({ p99Ms }) => p99Ms),
      ),
      row(
        '99th percentile without',
        rests.map(({ p99Ms }) => p99Ms),
      ),
      row(
        'longest collection of garbage during a pass',
        passes.map(({ collectionMs }) => collectionMs),
      ),
      row(
        'longest collection without',
        rests.map(({ collectionMs }) => collectionMs),
      ),
      row(
        'longest step of a pass, processor time',
        passes.map(({ stepMs }) => stepMs),
      ),
      row(
        'a pass',
        passes.map(({ durationMs }) => durationMs),
      ),
    ],
    notes: [
      `${describeWorld(SIZE)}; items are in catalog, filter index and text index, ${pairs.toLocaleString('en')} pairs in the ledger. ${(BATCH * 1_000) / EVERY_MS} signals a second are appended, flushed and applied all the while.`,
      `A pass writes ${(median(passes.map(({ bytes }) => bytes)) / 1_048_576).toFixed(0)} MiB, all 256 shards; ${ROUNDS} passes after one that does not count, each after 10 s without.`,
      `Delays by \`perf_hooks.monitorEventLoopDelay\`, resolution 1 ms; they hold what else ran on the machine. The limit for a pass is ${LIMIT_MS} ms.`,
    ],
  };
}

function ms(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

export const bench: Bench = {
  name: 'checkpoint',
  title: 'The event loop while a checkpoint is written',
  run,
};
