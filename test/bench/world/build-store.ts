/**
 * A process that fills a region's data directory through the real log, ledger and checkpoint, continues writing after the
 * checkpoint, and dies by SIGKILL: `node build-store.js <FillOptions as JSON>`.
 *
 * Before it dies it prints what it made as one line of JSON.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { chainHash, NO_PREDECESSOR } from '../../../services/region/batch/batch.ts';
import { createCheckpointer } from '../../../services/region/checkpoint/checkpointer.ts';
import { BatchBuilder } from '../../../services/region/intake/batch-builder.ts';
import { loadSchema } from '../../../services/region/schema/parse-schema.ts';
import { Entities } from '../../../services/region/state/entities/entities.ts';
import { createLedger } from '../../../services/region/state/ledger/signal-ledger.ts';
import { openLmdbStore } from '../../../services/region/store/lmdb-store.ts';
import { openLog } from '../../../services/region/wal/log.ts';
import { systemClock } from '../../../shared/kernel/system.ts';
import { type Event, HLC_PER_MS } from '../../../shared/protocol/events.ts';
import { unreadMetrics } from '../../harness/observe/counted-metrics.ts';
import { silentLog } from '../../harness/observe/silent-log.ts';
import { embeddingValues } from './embeddings.ts';
import type { FillOptions } from './fill-store.ts';
import { Traffic } from './traffic.ts';
import { EXPONENT, embeddedItem, ITEMS_SPAN_MS, oldItems, SEED, SIGNALS_SPAN_MS } from './world.ts';

/** What the process says before it dies. */
export interface BuiltStore {
  readonly pairs: number;
  readonly events: number;
  /** Encoded batches, and the stored shards. */
  readonly logBytes: number;
  readonly shardBytes: number;
  readonly passMs: number;
  /** Longest delay of the event loop while the checkpoint was written, ms. */
  readonly delayMs: number;
}

/** The events since the checkpoint are of the last minutes. */
const SINCE_MS = 5 * 60_000;
/** Batches of one append. */
const GROUP = 8;
/** Of the events since the checkpoint one in so many puts an item. */
const PUTS = 100;

const { directory, schemaFile, size, since } = JSON.parse(process.argv[2] ?? '{}') as FillOptions;
const { items, embeddings, signals } = size;

const schema = loadSchema(schemaFile);
const store = openLmdbStore({ path: directory });
const wal = openLog({ store });
const ledger = createLedger({ schema, entities: new Entities() });
const traffic = new Traffic({ seed: SEED, items, exponent: EXPONENT });
const origin = 'us-east@benchmarks';
const endMs = Date.now();

let first = 1;
let chain = NO_PREDECESSOR;
let waiting: Event[] = [];

/** Builds batches from the waiting events, appends and applies them. */
async function write(all: boolean): Promise<void> {
  let at = 0;
  while (at < waiting.length) {
    const batches = [];
    while (batches.length < GROUP && at < waiting.length) {
      const builder = new BatchBuilder();
      const from = at;
      while (at < waiting.length && builder.add(waiting[at]!)) at++;
      if (at === waiting.length && !all) {
        at = from;
        break;
      }
      const batch = builder.build({ origin, epoch: 1, first, schemaHash: schema.hash, chain });
      chain = chainHash(batch.bytes);
      first = batch.last + 1;
      batches.push(batch);
    }
    if (batches.length === 0) break;
    await wal.append({ batches, own: true });
    for (const { events } of batches) {
      for (const event of events) {
        if (event.kind === 'signal') ledger.add(event.entity, event.signal, event.weight, event.timeMs);
      }
    }
  }
  waiting = waiting.slice(at);
}

/** `event` of each index below `count`, accepted at an even pace. */
async function writeAll(
  count: number,
  fromMs: number,
  toMs: number,
  event: (index: number, ms: number, counter: number) => Event,
) {
  let beforeMs = 0;
  let counter = 0;
  for (let index = 0; index < count; index++) {
    const ms = Math.floor(fromMs + ((toMs - fromMs) * index) / count);
    counter = ms === beforeMs ? counter + 1 : 0;
    beforeMs = ms;
    waiting.push(event(index, ms, counter));
    if (waiting.length >= 50_000) await write(false);
  }
  await write(true);
}

await wal.storeMark('region', 'us-east');
await wal.openOrigin(origin, 1);

const signalsFromMs = endMs - SIGNALS_SPAN_MS;
let made = 0;
let embedded = 0;
const values = embeddingValues(SEED);
await writeAll(oldItems(size) + embeddings, endMs - ITEMS_SPAN_MS, signalsFromMs, (_, ms, counter) => {
  if (embedded < embeddings && embeddedItem(embedded, size) <= made) {
    const entity = embeddedItem(embedded++, size);
    return { kind: 'embedding', hlc: ms * HLC_PER_MS + counter, entity, values: values.next().value };
  }
  return traffic.item(++made, ms, counter);
});
const newItems = items - made;
const every = Math.floor((signals + newItems) / newItems);
await writeAll(signals + newItems, signalsFromMs, endMs - SINCE_MS, (index, ms, counter) =>
  index % every === 0 && made < items ? traffic.item(++made, ms, counter) : traffic.signal(ms, counter, made),
);

const checkpoint = createCheckpointer({
  metrics: unreadMetrics,
  clock: systemClock,
  log: silentLog,
  wal,
  ledger,
  applied: () => wal.durable,
  checkpointPosition: { position: new Map(), atMs: 0 },
  eventsLimit: Number.MAX_SAFE_INTEGER,
  intervalMs: Number.MAX_SAFE_INTEGER,
  onFatal(error) {
    throw error;
  },
  onPass(pass) {
    written = pass;
  },
});
let written = { shards: 0, bytes: 0, durationMs: 0 };
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
await checkpoint.now();
delay.disable();
const { pairs } = ledger;

await writeAll(since, endMs - SINCE_MS, endMs, (index, ms, counter) =>
  index % PUTS === 0 ? traffic.item(traffic.anyPopular(), ms, counter) : traffic.signal(ms, counter),
);

const built: BuiltStore = {
  pairs,
  events: first - 1,
  logBytes: wal.batchBytes,
  shardBytes: written.bytes,
  passMs: written.durationMs,
  delayMs: delay.max / 1e6,
};
process.stdout.write(`${JSON.stringify(built)}\n`, () => process.kill(process.pid, 'SIGKILL'));
