/**
 * The two forms of a signal on its way in: single signals without keys that travel together in one internal request, as events, and
 * the same as a column. In the router from the parsed writes to the text of the request; in the leader from that text to the text of
 * the answer, through intake, log and ledger. The store is in memory, so that nothing is measured but what the forms differ in.
 */
import { isRefused, type WriteAccepted, type WritesReply, type WritesRequest } from '../../shared/protocol/internal.ts';
import { unpackSignals } from '../../shared/protocol/packed-signals.ts';
import { fromWire } from '../../shared/protocol/writes.ts';
import { packedOf, type WireSignal } from '../harness/clients/wire-signals.ts';
import { MemoryStore } from '../harness/region/store/memory-store.ts';
import { type Bench, type BenchResult, median } from './bench.ts';
import { type BenchRegion, openBenchRegion } from './bench-region.ts';

const SIGNALS = 8_192;
const ENTITIES = 10_000;
const ROUNDS = 31;
const GROUPS = [1, 17, 256, 1_000];

interface Form {
  readonly name: string;
  request(signals: readonly WireSignal[]): WritesRequest;
  /** One result a signal. */
  take(region: BenchRegion, request: WritesRequest): Promise<WritesReply>;
}

const forms: readonly Form[] = [
  {
    name: 'as events',
    request: (writes) => ({ epoch: 1, atomic: false, writes }),
    take: ({ intake }, { epoch, writes }) =>
      intake.submit({ epoch, atomic: false, durability: 'local', bodies: writes.map(fromWire) }),
  },
  {
    name: 'as a column',
    request: (signals) => ({ epoch: 1, atomic: true, writes: [], signals: packedOf(signals) }),
    async take({ intake }, { epoch, signals }) {
      const bodies = unpackSignals(signals!);
      const { results } = await intake.submit({ epoch, atomic: true, durability: 'local', bodies });
      return { results: resultsOfEach(results[0] as WriteAccepted, bodies.count) };
    },
  },
];

/** A bulk is answered with the position of its last signal. */
function resultsOfEach({ position, durability }: WriteAccepted, count: number): WriteAccepted[] {
  const colon = position.lastIndexOf(':') + 1;
  const first = Number(position.slice(colon)) - count + 1;
  return Array.from({ length: count }, (_, index) => ({
    position: `${position.slice(0, colon)}${first + index}`,
    durability,
  }));
}

/** µs of processor a signal, all threads together. */
async function costOf(work: () => unknown): Promise<number> {
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / SIGNALS;
}

async function costs(form: Form, groups: readonly (readonly WireSignal[])[]): Promise<readonly [number, number]> {
  let requests: string[] = [];
  const router = await costOf(() => {
    requests = groups.map((signals) => JSON.stringify(form.request(signals)));
  });
  const region = openBenchRegion(new MemoryStore());
  const leader = await costOf(async () => {
    for (const request of requests) {
      const reply = await form.take(region, JSON.parse(request) as WritesRequest);
      if (reply.results.some(isRefused)) throw new Error(JSON.stringify(reply));
      JSON.stringify(reply);
    }
  });
  await region.wal.close();
  return [router, leader];
}

async function run(report: (progress: string) => void): Promise<BenchResult> {
  const rows = [];
  for (const together of GROUPS) {
    const groups = Array.from({ length: Math.ceil(SIGNALS / together) }, (_, group) =>
      Array.from({ length: together }, (_, index): WireSignal => {
        const e = 1 + (((group * together + index) * 7_919) % ENTITIES);
        return { k: 's', e, s: 'view', w: 1_000 };
      }),
    );
    const measured = forms.map((): (readonly [number, number])[] => []);
    for (let round = -2; round < ROUNDS; round++) {
      for (const [index, form] of forms.entries()) {
        const cost = await costs(form, groups);
        if (round >= 0) measured[index]!.push(cost);
      }
    }
    const [router, leader] = ([0, 1] as const).map((part) =>
      measured.map((all) => median(all.map((one) => one[part]))),
    );
    rows.push({
      what: `${together.toLocaleString('en')} together`,
      cells: [...router!, ...leader!]
        .map((micros) => micros.toFixed(2))
        .concat(`${(leader![1]! / leader![0]!).toFixed(2)}×`),
    });
    report(JSON.stringify(rows.at(-1)));
  }
  return {
    columns: [
      ...forms.map(({ name }) => `router, ${name}`),
      ...forms.map(({ name }) => `leader, ${name}`),
      'to events',
    ],
    rows,
    notes: [
      `µs of processor a signal; ${SIGNALS.toLocaleString('en')} signals a round, medians of ${ROUNDS} rounds of each form in turn after two that do not count.`,
      'Router: from the parsed writes to the text of the internal request. Leader: from that text through intake, log and ledger to the text of the answer, one result a signal. The store is in memory: no flush, no network, no HTTP, which are the same in both forms and more than all of this together.',
    ],
  };
}

export const bench: Bench = {
  name: 'signal-forms',
  title: 'Single signals as events, and as a column',
  run,
};
