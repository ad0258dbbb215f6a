/**
 * A process that fills a region's data directory through the real log, ledger and checkpoint, goes on writing after the
 * checkpoint, and dies by SIGKILL: `node build-store.js <directory> <items> <past signals> <events since> <seed>`.
 *
 * Before it dies it prints what it made as one line of JSON.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { chainHash, NO_PREDECESSOR } from '../../../services/region/batch/batch.ts';
import { createCheckpointer } from '../../../services/region/checkpoint/checkpointer.ts';
import { BatchBuilder } from '../../../services/region/intake/batch-builder.ts';
import { loadSchema } from '../../../services/region/schema/parse-schema.ts';
import { Entities } from '../../../services/region/state/entities/entities.ts';
import { createLedger } from '../../../services/region/state/ledger/signal-ledger.ts';
import { openLmdbStore } from '../../../services/region/store/lmdb-store.ts';
import { openLog } from '../../../services/region/wal/log.ts';
import { systemClock } from '../../../shared/kernel/system.ts';
import { silentLog } from '../../../shared/observe/log.ts';
import type { Event } from '../../../shared/protocol/events.ts';
import { Traffic } from './traffic.ts';

/** What the process says before it dies. */
export interface BuiltStore {
  readonly items: number;
  readonly pairs: number;
  readonly events: number;
  /** Encoded batches, and the stored shards. */
  readonly logBytes: number;
  readonly shardBytes: number;
  readonly passMs: number;
  /** Longest delay of the event loop while the checkpoint was written, ms. */
  readonly delayMs: number;
}

const PAST_MS = 7 * 86_400_000;
/** The events since the checkpoint are of the last minutes. */
const SINCE_MS = 5 * 60_000;
/** Batches of one append. */
const GROUP = 8;
/** Of the events since the checkpoint one in so many puts an item. */
const PUTS = 100;

const [directory = '', itemsText, pastText, sinceText, seedText] = process.argv.slice(2);
const [items, past, since, seed] = [itemsText, pastText, sinceText, seedText].map(Number) as [
  number,
  number,
  number,
  number,
];

const schema = loadSchema(fileURLToPath(new URL('../../../../deploy/config/default-schema.yaml', import.meta.url)));
const store = openLmdbStore({ path: directory });
const wal = openLog({ store });
const ledger = createLedger({ schema, entities: new Entities() });
const traffic = new Traffic({ seed, items });
const origin = 'us-east@benchmarks';
const endMs = Date.now();
const startMs = endMs - SINCE_MS - PAST_MS;

let first = 1;
let chain = NO_PREDECESSOR;
let waiting: Event[] = [];

/** Cuts batches out of what waits, appends and applies them. */
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
await writeAll(items, startMs - 86_400_000, startMs, (index, ms, counter) => traffic.item(index + 1, ms, counter));
await writeAll(past, startMs, endMs - SINCE_MS, (_, ms, counter) => traffic.signal(ms, counter));

const checkpoint = createCheckpointer({
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
  items,
  pairs,
  events: items + past + since,
  logBytes: wal.batchBytes,
  shardBytes: written.bytes,
  passMs: written.durationMs,
  delayMs: delay.max / 1e6,
};
process.stdout.write(`${JSON.stringify(built)}\n`, () => process.kill(process.pid, 'SIGKILL'));
