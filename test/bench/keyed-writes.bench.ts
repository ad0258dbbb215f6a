/**
 * What idempotency keys cost: signals through intake into the production store and the ledger, single ones and in bulks, with
 * keys and without; the same again, when all are known; and what a start replays. One process, nothing is shipped.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLmdbStore } from '../../services/region/store/lmdb-store.ts';
import type { EventBody } from '../../shared/protocol/events.ts';
import { withKeys } from '../../shared/protocol/idempotency.ts';
import { isRefused } from '../../shared/protocol/internal.ts';
import { fromWire, type WireWrite } from '../../shared/protocol/writes.ts';
import { type Bench, type BenchResult, median } from './bench.ts';
import { type BenchRegion, openBenchRegion } from './bench-region.ts';

const SIGNALS = 60_000;
const ENTITIES = 10_000;
const ROUNDS = 3;

interface Way {
  readonly what: string;
  /** Writes that are asked for together. */
  readonly together: number;
  readonly bulk: boolean;
  readonly keys: boolean;
}

const ways: readonly Way[] = [
  { what: 'single, 1,000 a group, no keys', together: 1_000, bulk: false, keys: false },
  { what: 'single, 1,000 a group, a key each', together: 1_000, bulk: false, keys: true },
  { what: 'single, 100 a group, no keys', together: 100, bulk: false, keys: false },
  { what: 'single, 100 a group, a key each', together: 100, bulk: false, keys: true },
  { what: 'bulks of 1,000, no keys', together: 1_000, bulk: true, keys: false },
  { what: 'bulks of 1,000, a key each', together: 1_000, bulk: true, keys: true },
  { what: 'bulks of 20,000, no keys', together: 20_000, bulk: true, keys: false },
  { what: 'bulks of 20,000, a key each', together: 20_000, bulk: true, keys: true },
];

/** What all signals took, µs a signal: on the clock, and of processors, all threads together. */
interface Cost {
  readonly clock: number;
  readonly processor: number;
}

interface Round {
  readonly taken: Cost;
  readonly repeated: Cost | undefined;
  readonly replayed: Cost;
  readonly bytes: number;
  readonly known: number;
}

async function costOf(work: () => unknown): Promise<Cost> {
  const startMs = performance.now();
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return { clock: ((performance.now() - startMs) * 1_000) / SIGNALS, processor: (user + system) / SIGNALS };
}

async function open(path: string): Promise<{ readonly region: BenchRegion; readonly recovering: Cost }> {
  const store = openLmdbStore({ path });
  let region!: BenchRegion;
  const recovering = await costOf(() => {
    region = openBenchRegion(store);
  });
  return { region, recovering };
}

/** As routers send them. */
function requestsOf({ together, bulk, keys }: Way): EventBody[][] {
  return Array.from({ length: SIGNALS / together }, (_, request) => {
    const wire = Array.from({ length: together }, (_, index): WireWrite => {
      const entity = 1 + ((request * together + index) % ENTITIES);
      return { k: 's', e: entity, s: 'view', w: 1_000 };
    });
    if (!keys) return wire.map(fromWire) as EventBody[];
    if (bulk) return withKeys(`request ${request}`, 'signals', wire, true).map(fromWire) as EventBody[];
    return wire.map(
      (one, index) => fromWire(withKeys(`request ${request}:${index}`, 'signals', [one], false)[0]!) as EventBody,
    );
  });
}

function submitAll({ intake }: BenchRegion, { bulk }: Way, requests: readonly EventBody[][]): Promise<Cost> {
  return costOf(async () => {
    for (const bodies of requests) {
      const { results } = await intake.submit({ epoch: 1, atomic: bulk, durability: 'local', bodies });
      const refused = results.find(isRefused);
      if (refused !== undefined) throw new Error(refused.problem.detail);
    }
  });
}

function bytesTaken({ store }: BenchRegion): number {
  const { usedBytes, freeBytes } = store.sizes();
  return usedBytes - freeBytes;
}

async function round(way: Way): Promise<Round> {
  const path = mkdtempSync(join(tmpdir(), 'tidal-bench-keyed-'));
  try {
    const requests = requestsOf(way);
    const { region } = await open(path);
    const before = bytesTaken(region);
    const taken = await submitAll(region, way, requests);
    const bytes = (bytesTaken(region) - before) / SIGNALS;
    const known = region.wal.keys;
    const repeated = way.keys ? await submitAll(region, way, requests) : undefined;
    await region.wal.close();
    const again = await open(path);
    await again.region.wal.close();
    return { taken, repeated, replayed: again.recovering, bytes, known };
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

async function run(report: (progress: string) => void): Promise<BenchResult> {
  const rounds = ways.map((): Round[] => []);
  for (let number = 0; number <= ROUNDS; number++) {
    for (const [index, way] of ways.entries()) {
      const measured = await round(way);
      report(`${way.what}: ${JSON.stringify(measured)}`);
      if (number > 0) rounds[index]!.push(measured);
    }
  }
  const middle = (index: number, of: (round: Round) => number | undefined): number | undefined => {
    const values = rounds[index]!.map(of).filter((value) => value !== undefined);
    return values.length === 0 ? undefined : median(values);
  };
  const whole = (value: number | undefined): string => Math.round(value ?? 0).toLocaleString('en');
  const micros = (value: number | undefined): string => value?.toFixed(value < 10 ? 2 : 1) ?? '';
  return {
    columns: [
      ...['taken, signals/s', 'taken, µs of processor', 'taken again, µs of processor', 'replayed, µs of processor'],
      ...['bytes on disk', 'keys known'],
    ],
    rows: ways.map(({ what }, index) => ({
      what,
      cells: [
        whole(1e6 / middle(index, ({ taken }) => taken.clock)!),
        micros(middle(index, ({ taken }) => taken.processor)),
        micros(middle(index, ({ repeated }) => repeated?.processor)),
        micros(middle(index, ({ replayed }) => replayed.processor)),
        middle(index, ({ bytes }) => bytes)!.toFixed(1),
        whole(middle(index, ({ known }) => known)),
      ],
    })),
    notes: [
      `${SIGNALS.toLocaleString('en')} signals over ${ENTITIES.toLocaleString('en')} items into an empty store, one request after another; each figure a signal, medians of ${ROUNDS} rounds in turn after one that does not count.`,
      'Single writes of one group come together and are committed in one transaction, as those of many clients; a bulk is one transaction. Every transaction is flushed before it is answered. Taken again: the same requests, when all are known, so nothing is written. Replayed: a start from the log alone. Signals/s are on the clock, flushes included; processor time is that of all threads.',
      'Bytes on disk: pages of the store that are taken, less those of an empty one: batches, rows of keys and the trees around them.',
    ],
  };
}

export const bench: Bench = {
  name: 'keyed-writes',
  title: 'Idempotency keys: what keyed signals cost at intake, at a start and on disk',
  run,
};
