/** What `POST /cluster/verify` costs a region: counting its state, and the signals that are applied meanwhile. */
import { setTimeout as pause } from 'node:timers/promises';
import { batchOf } from '../../services/region/batch/batch.ts';
import { loadSchema } from '../../services/region/schema/parse-schema.ts';
import { createRegisters } from '../../services/region/state/catalog/registers.ts';
import { createDigestCounts, type DigestCounts } from '../../services/region/state/digest/digest-counts.ts';
import { Entities } from '../../services/region/state/entities/entities.ts';
import type { Ledger } from '../../services/region/state/ledger/ledger.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import { systemClock, nextTurn as systemNextTurn } from '../../shared/kernel/system.ts';
import { type SignalColumns, signalColumns } from '../../shared/protocol/signal-columns.ts';
import { type Bench, type BenchSettings, median } from './bench.ts';
import { Traffic } from './world/traffic.ts';
import { EXPONENT } from './world/world.ts';

const SEED = 20_261_130;
const SPAN_MS = 48 * 3_600_000;
const END_MS = 1_780_000_000_000;
const BULK = 1_000;
const ROUNDS = 5;
const BULKS = 100;
const ORIGIN = 'us-east@benchmarks';

const schema = loadSchema('deploy/config/default-schema.yaml');
const names = [...schema.signals.keys()];

/** Half of the signals are of popular items, half of any. */
function bulkOf(traffic: Traffic, items: number, timeMs: number, random: () => number): SignalColumns {
  const columns = signalColumns(BULK, names);
  for (let index = 0; index < BULK; index++) {
    const event = traffic.signal(timeMs, 0);
    if (event.kind !== 'signal') throw new Error('traffic makes signals');
    columns.entities[index] = random() < 0.5 ? event.entity : 1 + Math.floor(random() * items);
    columns.kinds[index] = names.indexOf(event.signal);
    columns.weights[index] = event.weight;
    columns.timesMs[index] = timeMs;
  }
  return columns;
}

/** Of processor time: the machine may do something else meanwhile. */
const turnsMs: number[] = [];

function nextTurn(action: () => void): void {
  systemNextTurn(() => {
    const before = process.cpuUsage();
    action();
    const { user, system } = process.cpuUsage(before);
    turnsMs.push((user + system) / 1_000);
  });
}

function heldBytes(): number {
  if (gc === undefined) throw new Error('needs node --expose-gc');
  gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Applies bulks as apply does. */
class Region {
  /** Processor time of what a count adds to batches. */
  applyingMs = 0;
  private readonly position: Map<string, number>;
  private readonly ledger: Ledger;
  private readonly counts: DigestCounts;

  constructor(position: Map<string, number>, ledger: Ledger, counts: DigestCounts) {
    this.position = position;
    this.ledger = ledger;
    this.counts = counts;
  }

  apply(signals: SignalColumns): void {
    const before = this.position.get(ORIGIN) ?? 0;
    const last = before + signals.count;
    const header = { origin: ORIGIN, epoch: 1, first: before + 1, last, schemaHash: '', chain: new Uint8Array(16) };
    const batch = batchOf({ header, bytes: new Uint8Array(0), lastHlc: 0, aheadMs: 0, signals });
    const used = process.cpuUsage();
    this.counts.applying(batch);
    const { user, system } = process.cpuUsage(used);
    this.applyingMs += (user + system) / 1_000;
    this.ledger.addColumns(signals);
    this.position.set(ORIGIN, last);
    this.counts.applied();
  }

  applyAll(bulks: readonly SignalColumns[]): void {
    for (const bulk of bulks) this.apply(bulk);
  }
}

/** Processor time of this process while it runs, ms. */
async function processorMs(work: () => void | Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

async function run(report: (progress: string) => void, { size }: BenchSettings): ReturnType<Bench['run']> {
  const { items, signals } = size;
  const entities = new Entities();
  const catalog = createRegisters({ entities });
  const ledger = createLedger({ schema, entities });
  const traffic = new Traffic({ seed: SEED, items, exponent: EXPONENT });
  let state = SEED;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 4_294_967_296;
  };
  report(`${items} items, ${signals} signals`);
  for (let entity = 1; entity <= items; entity++) {
    const event = traffic.item(entity, END_MS - SPAN_MS, entity % 60_000);
    catalog.apply({ event, order: { epoch: 1, hlc: event.hlc, origin: ORIGIN, sequence: entity } });
  }
  for (let at = 0; at < signals; at += BULK) {
    ledger.addColumns(bulkOf(traffic, items, Math.floor(END_MS - SPAN_MS + (SPAN_MS * at) / signals), random));
  }
  const position = new Map<string, number>();
  const counts = createDigestCounts({ clock: systemClock, nextTurn, catalog, ledger, position: () => position });
  const region = new Region(position, ledger, counts);
  let timeMs = END_MS;
  const bulks = (): SignalColumns[] =>
    Array.from({ length: BULKS }, () => {
      timeMs += 100;
      return bulkOf(traffic, items, timeMs, random);
    });
  let id = 0;
  const isCounting = (): boolean => counts.request({ id: `${id}`, covering: new Map() })?.digest === undefined;
  const [countedMs, countingMs, bytes, idle, beside]: number[][] = [[], [], [], [], []];
  for (let round = 0; round <= ROUNDS; round++) {
    const before = heldBytes();
    id++;
    isCounting();
    bytes!.push(heldBytes() - before);
    counts.stop();
    const [alone, other, third] = [bulks(), bulks(), bulks()];
    idle!.push(await processorMs(() => region.applyAll(alone)));
    const startMs = performance.now();
    countingMs!.push(
      await processorMs(async () => {
        while (isCounting()) await pause(1);
      }),
    );
    countedMs!.push(performance.now() - startMs);
    counts.stop();
    idle!.push(await processorMs(() => region.applyAll(other)));
    id++;
    region.applyingMs = 0;
    isCounting();
    for (const bulk of third) {
      region.apply(bulk);
      if (!isCounting()) throw new Error('the state is too small to be counted beside signals');
    }
    beside!.push(region.applyingMs);
    counts.stop();
    // The first round compiles.
    if (round === 0) for (const values of [countedMs, countingMs, bytes, idle, beside, turnsMs]) values!.length = 0;
    else report(`round ${round}: counted in ${countedMs!.at(-1)!.toFixed(0)} ms`);
  }
  const ms = (value: number, digits = 0): string => `${value.toFixed(digits)} ms`;
  const ns = (value: number): string => `${value.toFixed(0)} ns`;
  const pairs = ledger.pairs;
  const perSignal = 1e6 / (BULKS * BULK);
  const aSignal = median(idle!) * perSignal;
  return {
    columns: ['median'],
    rows: [
      { what: 'counting the state: processor time', cells: [ms(median(countingMs!))] },
      { what: 'the same for each pair', cells: [ns((median(countingMs!) * 1e6) / pairs)] },
      { what: 'counting the state: from the first request to the digest', cells: [ms(median(countedMs!))] },
      { what: 'a turn of counting: processor time', cells: [ms(median(turnsMs), 1)] },
      {
        what: 'the longest turn of all rounds: processor time, also of other threads',
        cells: [ms(Math.max(...turnsMs), 1)],
      },
      { what: 'memory of a pair during a count', cells: [`${(median(bytes!) / pairs).toFixed(1)} bytes`] },
      { what: 'a signal while nothing is counted: processor time', cells: [ns(aSignal)] },
      {
        what: 'what a count adds to it, with the pairs that are counted for it',
        cells: [ns(median(beside!) * perSignal)],
      },
    ],
    notes: [
      `${items.toLocaleString('en')} items, ${pairs.toLocaleString('en')} pairs of ${signals.toLocaleString('en')} signals over 48 hours, half of them of popular items; signals in bulks of ${BULK.toLocaleString('en')}, ${BULKS} of them a round; ${ROUNDS} rounds after one that does not count.`,
      'A pair that a signal changes before the walk has reached it is counted for the signal, and the walk is spared it: that time is moved, not added. The round of signals during a count is applied at its beginning, where nearly no pair was reached.',
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
