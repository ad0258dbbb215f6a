/**
 * A log that begins with the origins of many former terms, written by the production code: the state of a cluster after years of
 * restarts and promotions. Randomness is derived from the seed alone, so every region that is given the same options has the same
 * bytes, as if it had received them.
 */

import { mkdirSync } from 'node:fs';
import type { Batch } from '../../../services/region/batch/batch.ts';
import { createCheckpointer } from '../../../services/region/checkpoint/checkpointer.ts';
import { recover } from '../../../services/region/recover/recover.ts';
import type { Schema } from '../../../services/region/schema/schema.ts';
import { createRegisters } from '../../../services/region/state/catalog/registers.ts';
import { createLedger } from '../../../services/region/state/ledger/signal-ledger.ts';
import { openLmdbStore } from '../../../services/region/store/lmdb-store.ts';
import type { TableName } from '../../../services/region/store/store.ts';
import { openLog } from '../../../services/region/wal/log.ts';
import type { Wal } from '../../../services/region/wal/wal.ts';
import { randomName } from '../../../shared/kernel/kernel.ts';
import { type Event, HLC_PER_MS } from '../../../shared/protocol/events.ts';
import { ManualClock } from '../kernel/manual-clock.ts';
import { seededRandom } from '../kernel/seeded-random.ts';
import { unreadMetrics } from '../observe/counted-metrics.ts';
import { silentLog } from '../observe/silent-log.ts';
import { chainOf, startMs } from './batches.ts';
import { schemaOf } from './rank/signals-schema.ts';
import { noIndex } from './state/told-index.ts';
import { MemoryStore } from './store/memory-store.ts';

export interface OldOriginsOptions {
  /** How many; 2,000. */
  readonly count?: number;
  /** Who opened them: the region at index i in epoch i + 1, each a run of the count. */
  readonly regions?: readonly string[];
  /** Events of each: views of the entities 1 … 10. */
  readonly events?: number;
  /** Whether their batches are trimmed, below a checkpoint that covers them. */
  readonly trimmed?: boolean;
  readonly seed?: number;
  /** It declares the signal `view`; the hash is in the batches. */
  readonly schema?: Schema;
}

const defaults = {
  count: 2_000,
  regions: ['us-east', 'eu-west', 'ap-south'],
  events: 2,
  trimmed: false,
  seed: 1,
  schema: schemaOf(['view', 'positive', 3_600]),
} as const satisfies OldOriginsOptions;

/** Batches of one transaction. */
const TOGETHER = 500;
const ENTITIES = 10;

/** One batch of each origin, the oldest first. */
export function oldOrigins(options: OldOriginsOptions = {}): Batch[] {
  const { count, regions, events, seed, schema } = { ...defaults, ...options };
  const random = seededRandom(seed);
  const each = Math.ceil(count / regions.length);
  return Array.from({ length: count }, (_, index) => {
    const term = Math.floor(index / each);
    const accepted = Array.from({ length: events }, (__, event): Event => {
      const hlc = (startMs + index) * HLC_PER_MS + event;
      const entity = 1 + ((index + event) % ENTITIES);
      return { kind: 'signal', hlc, entity, signal: 'view', weight: 1_000, timeMs: startMs + index };
    });
    const origin = `${regions[term]}@${randomName(random, 13)}`;
    return chainOf({ origin, epoch: term + 1, schemaHash: schema.hash }, [accepted])[0]!;
  });
}

/** Appends them to a log that is open only here; checkpoints and trims as asked. */
export async function writeOldOrigins(wal: Wal, options: OldOriginsOptions = {}): Promise<readonly Batch[]> {
  const { trimmed, schema } = { ...defaults, ...options };
  const batches = oldOrigins(options);
  for (let at = 0; at < batches.length; at += TOGETHER) {
    await wal.append({ batches: batches.slice(at, at + TOGETHER) });
  }
  if (!trimmed) return batches;
  await checkpoint(wal, schema);
  for (const { origin, last } of batches) await wal.trim(origin, last, 1);
  return batches;
}

async function checkpoint(wal: Wal, schema: Schema): Promise<void> {
  const clock = new ManualClock();
  const log = silentLog;
  const ledger = createLedger({ schema });
  const { checkpointPosition: floor, applied } = recover({
    ...{ clock, log, wal, ledger, catalog: createRegisters(), filterIndex: noIndex, text: noIndex },
  });
  const onFatal = (error: unknown): void => {
    throw error;
  };
  const pass = createCheckpointer({
    metrics: unreadMetrics,
    ...{ clock, log, wal, ledger, checkpointPosition: floor, onFatal },
    applied: () => applied,
    eventsLimit: 1,
    intervalMs: 1,
  }).now();
  await clock.run(pass);
}

const stores = new Map<string, Promise<MemoryStore>>();

/** A store in memory that begins with them; made once for the same options, so that many regions may be given one each. */
export async function storeOfOldOrigins(options: OldOriginsOptions = {}): Promise<MemoryStore> {
  const key = JSON.stringify({ ...options, schema: options.schema?.hash });
  let made = stores.get(key);
  if (made === undefined) {
    made = makeStore(options);
    stores.set(key, made);
  }
  return (await made).backup();
}

async function makeStore(options: OldOriginsOptions): Promise<MemoryStore> {
  const store = new MemoryStore();
  await writeOldOrigins(openLog({ store }), options);
  return store;
}

const tables: readonly TableName[] = ['batches', 'origins', 'items', 'embeddings', 'keyed', 'keys', 'shards', 'marks'];

/** A data directory that begins with them: the same rows, in one transaction instead of thousands of flushes. */
export async function directoryOfOldOrigins(path: string, options: OldOriginsOptions = {}): Promise<void> {
  const made = await storeOfOldOrigins(options);
  mkdirSync(path, { recursive: true });
  const store = openLmdbStore({ path });
  await store.commit((transaction) => {
    for (const table of tables) for (const [key, value] of made.flushed(table)) transaction.put(table, key, value);
  });
  await store.close();
}
