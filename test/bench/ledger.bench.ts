/** Rows 5 and 10: what a signal costs to count, and what a pair takes in memory. */

import { loadSchema } from '../../services/region/schema/parse-schema.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import { type SignalColumns, signalColumns } from '../../shared/protocol/signal-columns.ts';
import { type Bench, type BenchRow, interleaved, median } from './bench.ts';
import { drawSignal, fastRandom, HOUR_MS, NOW_MS, zipf } from './ranking-world.ts';

const SEED = 20_261_125;
const EVENTS = 1_000_000;
const SIZES = [10_000, 100_000, 1_000_000];
/** 10,000 events a second. */
const EVENTS_PER_MS = 10;
const ROUNDS = 7;
/** Signals that are applied at once. */
const BULK = 1_000;
const PAIRS = 1_000_000;

const schema = loadSchema('deploy/config/default-schema.yaml');

/** Zipf over the items, in time order but for the few seconds that events of several regions are apart; in bulks. */
function traffic(items: number): readonly SignalColumns[] {
  const random = fastRandom(SEED);
  const draw = zipf(random, items);
  const names = [...schema.signals.keys()];
  return Array.from({ length: EVENTS / BULK }, (_, bulk) => {
    const columns = signalColumns(BULK, names);
    for (let index = 0; index < BULK; index++) {
      columns.entities[index] = (draw() * 7_919) % items;
      columns.kinds[index] = names.indexOf(drawSignal(random));
      columns.weights[index] = 1_000;
      const event = bulk * BULK + index;
      columns.timesMs[index] = NOW_MS + Math.floor(event / EVENTS_PER_MS) - Math.floor(random() * 5_000);
    }
    return columns;
  });
}

function speed(items: number, report: (progress: string) => void): BenchRow[] {
  const bulks = traffic(items);
  const ledger = createLedger({ schema, createdMs: () => NOW_MS });
  const counters = new Map<number, number>();
  const countersOfSignals = [...schema.signals.keys()].map(() => new Map<number, number>());
  /** Each round is later than the one before. */
  const goOn = (): void => {
    for (const { timesMs } of bulks) {
      for (let index = 0; index < BULK; index++) timesMs[index]! += EVENTS / EVENTS_PER_MS;
    }
  };
  const count = (): void => {
    for (const bulk of bulks) ledger.addColumns(bulk);
  };
  const increment = (): void => {
    for (const { entities } of bulks) {
      for (let index = 0; index < BULK; index++) {
        const entity = entities[index]!;
        counters.set(entity, (counters.get(entity) ?? 0) + 1);
      }
    }
  };
  const incrementOfSignal = (): void => {
    for (const { entities, kinds } of bulks) {
      for (let index = 0; index < BULK; index++) {
        const entity = entities[index]!;
        const countersOfSignal = countersOfSignals[kinds[index]!]!;
        countersOfSignal.set(entity, (countersOfSignal.get(entity) ?? 0) + 1);
      }
    }
  };
  report(`${ROUNDS} rounds of ${EVENTS} signals over ${items} items`);
  const contenders = [goOn, count, increment, incrementOfSignal];
  const [, ours, theirs, ofSignal] = interleaved(contenders, ROUNDS).map(median) as [number, number, number, number];
  const row = (what: string, ms: number): BenchRow => ({
    what,
    cells: [
      `${((ms * 1e6) / EVENTS).toFixed(0)} ns`,
      `${(EVENTS / ms / 1_000).toFixed(1)} M/s`,
      `${(ms / theirs).toFixed(1)}×`,
    ],
  });
  const over = `over ${items.toLocaleString('en')} items`;
  return [
    row(`signal ${over}: count, sum, 4 windows, decay, upper bounds`, ours),
    row(`\`Map\` counter increment ${over}`, theirs),
    row(`\`Map\` of its signal, counter increment ${over}`, ofSignal),
  ];
}

/** What is held once nothing more is collected. */
async function heldBytes(): Promise<number> {
  if (gc === undefined) throw new Error('needs node --expose-gc');
  let least = Number.POSITIVE_INFINITY;
  for (let same = 0; same < 3; ) {
    gc();
    // Buffers are released a little after their owners.
    await new Promise((resolve) => setImmediate(resolve));
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    same = heapUsed + arrayBuffers < least - 10_000 ? 0 : same + 1;
    least = Math.min(least, heapUsed + arrayBuffers);
  }
  return least;
}

/** Bytes an entity of what all its signals share. */
async function sharedMemory(entities: number): Promise<BenchRow> {
  const before = await heldBytes();
  const ledger = createLedger({ schema, createdMs: () => NOW_MS });
  for (let entity = 0; entity < entities; entity++) ledger.upperBounds.put(entity);
  const bytes = ((await heldBytes()) - before) / entities;
  ledger.upperBounds.remove(0);
  const cells = [`${bytes.toFixed(0)} bytes`, `${entities.toLocaleString('en')} entities`, ''];
  return { what: 'numbering and upper bounds, an entity of six signals', cells };
}

/**
 * Bytes a pair of one signal over `pairs` entities that `fill` fills, less the numbering of entities and the upper bounds, which
 * all signals share. `quiet`: after it was looked at by `pack`.
 */
async function memory(
  what: string,
  pairs: number,
  fill: (add: (entity: number, timeMs: number) => void) => void,
  quiet = false,
): Promise<BenchRow> {
  const empty = await heldBytes();
  const bare = createLedger({ schema, createdMs: () => NOW_MS });
  for (let entity = 0; entity < pairs; entity++) bare.upperBounds.put(entity);
  const shared = (await heldBytes()) - empty;
  bare.upperBounds.remove(0);
  const before = await heldBytes();
  const ledger = createLedger({ schema });
  fill((entity, timeMs) => ledger.add(entity, 'view', 1_000, timeMs));
  if (quiet) for (let calls = 0; calls < pairs / 500; calls++) ledger.pack(pairs, NOW_MS + 1_000 * 24 * HOUR_MS);
  const bytes = ((await heldBytes()) - before - shared) / pairs;
  ledger.read(0, 'view', NOW_MS);
  bare.upperBounds.remove(0);
  return {
    what,
    cells: [`${bytes.toFixed(0)} bytes`, `${pairs.toLocaleString('en')} pairs`, `${(bytes / 1_088).toFixed(2)}×`],
  };
}

/** An item of a busy day: events in 30 minutes of 12 hours. */
function busyDay(add: (entity: number, timeMs: number) => void, pairs: number): void {
  for (let entity = 0; entity < pairs; entity++) {
    for (let n = 0; n < 60; n++) add(entity, NOW_MS + (n % 12) * HOUR_MS + Math.floor(n / 12) * 120_000);
  }
}

export const bench: Bench = {
  name: 'ledger',
  title: 'The ledger: what a signal costs, and what a pair takes',
  nodeFlags: ['--expose-gc'],
  async run(report) {
    const rows = SIZES.flatMap((items) => speed(items, report));
    report('memory');
    rows.push(
      await sharedMemory(PAIRS),
      await memory('cold pair: all its events in one minute', PAIRS, (add) => {
        for (let entity = 0; entity < PAIRS; entity++) add(entity, NOW_MS + entity);
      }),
      await memory('pair with events in four minutes', PAIRS, (add) => {
        for (let entity = 0; entity < PAIRS; entity++) for (let n = 0; n < 4; n++) add(entity, NOW_MS + n * 70_000);
      }),
      await memory('hot pair: both rings full', 20_000, (add) => {
        for (let entity = 0; entity < 20_000; entity++) {
          for (let hour = 0; hour < 175; hour++) add(entity, NOW_MS + hour * HOUR_MS);
          for (let minute = 0; minute < 70; minute++) add(entity, NOW_MS + 175 * HOUR_MS + minute * 60_000);
        }
      }),
      await memory('busy for a day', 20_000, (add) => busyDay(add, 20_000)),
      await memory('the same, quiet since then', 20_000, (add) => busyDay(add, 20_000), true),
    );
    return {
      columns: ['each', 'rate / size', 'beside'],
      rows,
      notes: [
        `Signals: Zipf over the items and six signals, 10,000 events a second, ${ROUNDS} rounds in turn; beside: the counter of items, which counts the same events but not by signal; below it one that does, as the ledger has to. All read them as apply does, from columns of ${BULK.toLocaleString('en')}.`,
        'Memory: what the process holds after a collection, less the numbering of entities and the upper bounds, which all signals of an item share; beside: the 1,088 bytes a pair of the original.',
        `Seed ${SEED}.`,
      ],
    };
  },
};
