/** What `POST /cluster/verify` costs a region: counting its state once, and keeping the digest with every batch from then on. */
import { setTimeout as pause } from 'node:timers/promises';
import { batchOf } from '../../services/region/batch/batch.ts';
import { loadSchema } from '../../services/region/schema/parse-schema.ts';
import { createRegisters } from '../../services/region/state/catalog/registers.ts';
import { createKeptDigest, type KeptDigest } from '../../services/region/state/digest/kept-digest.ts';
import { Entities } from '../../services/region/state/entities/entities.ts';
import type { Ledger } from '../../services/region/state/ledger/ledger.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import type { Clock } from '../../shared/kernel/kernel.ts';
import { systemClock } from '../../shared/kernel/system.ts';
import { type SignalColumns, signalColumns } from '../../shared/protocol/signal-columns.ts';
import { type Bench, median } from './bench.ts';
import { Traffic } from './world/traffic.ts';
import { EXPONENT } from './world/world.ts';

const SEED = 20_261_130;
const ITEMS = 1_000_000;
const SIGNALS = 10_000_000;
const SPAN_MS = 48 * 3_600_000;
const END_MS = 1_780_000_000_000;
const BULK = 1_000;
const ROUNDS = 5;
const BULKS = 100;
const ORIGIN = 'us-east@benchmarks';

const schema = loadSchema('deploy/config/default-schema.yaml');
const names = [...schema.signals.keys()];

/** Half of the signals are of popular items, half of any. */
function bulkOf(traffic: Traffic, timeMs: number, random: () => number): SignalColumns {
  const columns = signalColumns(BULK, names);
  for (let index = 0; index < BULK; index++) {
    const event = traffic.signal(timeMs, 0);
    if (event.kind !== 'signal') throw new Error('traffic makes signals');
    columns.entities[index] = random() < 0.5 ? event.entity : 1 + Math.floor(random() * ITEMS);
    columns.kinds[index] = names.indexOf(event.signal);
    columns.weights[index] = event.weight;
    columns.timesMs[index] = timeMs;
  }
  return columns;
}

/** Notes how long each turn takes, of processor time: the machine may do something else meanwhile. */
class TurnClock implements Clock {
  readonly turnsMs: number[] = [];
  readonly nowMs = systemClock.nowMs.bind(systemClock);
  readonly monotonicMs = systemClock.monotonicMs.bind(systemClock);

  after(delayMs: number, action: () => void) {
    return systemClock.after(delayMs, () => {
      const before = process.cpuUsage();
      action();
      const { user, system } = process.cpuUsage(before);
      this.turnsMs.push((user + system) / 1_000);
    });
  }
}

function heldBytes(): number {
  if (gc === undefined) throw new Error('needs node --expose-gc');
  gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Applies bulks as apply does. */
class Region {
  private readonly position: Map<string, number>;
  private readonly ledger: Ledger;
  private readonly keptDigest: KeptDigest;

  constructor(position: Map<string, number>, ledger: Ledger, keptDigest: KeptDigest) {
    this.position = position;
    this.ledger = ledger;
    this.keptDigest = keptDigest;
  }

  apply(signals: SignalColumns): void {
    const before = this.position.get(ORIGIN) ?? 0;
    const last = before + signals.count;
    const header = { origin: ORIGIN, epoch: 1, first: before + 1, last, schemaHash: '', chain: new Uint8Array(16) };
    const batch = batchOf({ header, bytes: new Uint8Array(0), lastHlc: 0, aheadMs: 0, signals });
    this.keptDigest.applying(batch);
    this.ledger.addColumns(signals);
    this.position.set(ORIGIN, last);
    this.keptDigest.applied(batch);
  }

  /** Nanoseconds an event. */
  cost(bulks: readonly SignalColumns[]): number {
    const startMs = performance.now();
    for (const bulk of bulks) this.apply(bulk);
    return ((performance.now() - startMs) * 1e6) / (bulks.length * BULK);
  }
}

async function run(report: (progress: string) => void): ReturnType<Bench['run']> {
  const entities = new Entities();
  const catalog = createRegisters({ entities });
  const ledger = createLedger({ schema, entities });
  const traffic = new Traffic({ seed: SEED, items: ITEMS, exponent: EXPONENT });
  let state = SEED;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 4_294_967_296;
  };
  report(`${ITEMS} items, ${SIGNALS} signals`);
  for (let entity = 1; entity <= ITEMS; entity++) {
    const event = traffic.item(entity, END_MS - SPAN_MS, entity % 60_000);
    catalog.apply({ event, order: { epoch: 1, hlc: event.hlc, origin: ORIGIN, sequence: entity } });
  }
  for (let at = 0; at < SIGNALS; at += BULK) {
    ledger.addColumns(bulkOf(traffic, Math.floor(END_MS - SPAN_MS + (SPAN_MS * at) / SIGNALS), random));
  }
  const clock = new TurnClock();
  const position = new Map<string, number>();
  const keptDigest = createKeptDigest({ clock, catalog, ledger, position: () => position });
  const region = new Region(position, ledger, keptDigest);
  let timeMs = END_MS;
  const bulks = (): SignalColumns[] =>
    Array.from({ length: BULKS }, () => {
      timeMs += 100;
      return bulkOf(traffic, timeMs, random);
    });
  const [countedMs, processorMs, bytes, idle, kept]: number[][] = [[], [], [], [], []];
  for (let round = 0; round <= ROUNDS; round++) {
    idle!.push(region.cost(bulks()));
    const before = heldBytes();
    const used = process.cpuUsage();
    const startMs = performance.now();
    keptDigest.watch(1);
    while (keptDigest.watch(1).counting) await pause(1);
    countedMs!.push(performance.now() - startMs);
    const { user, system } = process.cpuUsage(used);
    processorMs!.push((user + system) / 1_000);
    bytes!.push(heldBytes() - before);
    kept!.push(region.cost(bulks()));
    keptDigest.stop();
    // The first round compiles.
    if (round === 0)
      for (const values of [countedMs, processorMs, bytes, idle, kept, clock.turnsMs]) values!.length = 0;
    else report(`round ${round}: counted in ${countedMs!.at(-1)!.toFixed(0)} ms`);
  }
  const ms = (value: number, digits = 0): string => `${value.toFixed(digits)} ms`;
  const pairs = ledger.pairs;
  return {
    columns: ['median'],
    rows: [
      { what: 'counting the state: processor time', cells: [ms(median(processorMs!))] },
      { what: 'counting the state: from the first request to the digest', cells: [ms(median(countedMs!))] },
      { what: 'a turn of counting: processor time', cells: [ms(median(clock.turnsMs), 1)] },
      {
        what: 'the longest turn of all rounds: processor time, also of other threads',
        cells: [ms(Math.max(...clock.turnsMs), 1)],
      },
      { what: 'memory of a pair while the digest is kept', cells: [`${(median(bytes!) / pairs).toFixed(1)} bytes`] },
      { what: 'a signal while no digest is requested', cells: [`${median(idle!).toFixed(0)} ns`] },
      { what: 'a signal while the digest is kept', cells: [`${median(kept!).toFixed(0)} ns`] },
    ],
    notes: [
      `${ITEMS.toLocaleString('en')} items, ${pairs.toLocaleString('en')} pairs of ${SIGNALS.toLocaleString('en')} signals over 48 hours, half of them of popular items; signals in bulks of ${BULK.toLocaleString('en')}, ${BULKS} of them a round; ${ROUNDS} rounds after one that does not count.`,
      'The digest is kept for 15 s after the last request. While it is not requested, a batch costs two calls that do nothing.',
      `Seed ${SEED}.`,
    ],
  };
}

export const bench: Bench = {
  name: 'digest',
  title: 'The digest of a large state: what a verification costs a region',
  nodeFlags: ['--expose-gc'],
  run,
};
