/**
 * Reads everything that a region has on its disk, and names every damage with its position: a batch by `origin:sequence`, a row by
 * its table and key, a ledger shard by its number, a file by its name. Nothing is changed.
 *
 * In this order: the file, in a process of its own, because damaged pages may crash their reader → the checksum of every row that
 * is not a batch or a shard → origins and marks → every batch: checksum, contents, sequence, chain; and registers and idempotency
 * records against the events of the log that wrote them → every shard → the contents of every row. Of a store of format 1, whose
 * rows have no checksums yet, a changed value that is still valid and whose event is trimmed is not found: there
 * `POST /cluster/verify` compares regions.
 */
import { isDeepStrictEqual } from 'node:util';
import { chainHash, decodeBatchUnder, NO_PREDECESSOR } from '../../services/region/batch/batch.ts';
import { readCheckpointPosition, unpackShard } from '../../services/region/checkpoint/checkpoint.ts';
import { declaredBy, type SchemaDescription, undeclaredIn } from '../../services/region/compatible/compatible.ts';
import { checkContents, checkRecords } from '../../services/region/snapshot/check-contents.ts';
import { encodeMetadata } from '../../services/region/state/catalog/catalog.ts';
import { copyOf, MENDED_EPOCH } from '../../services/region/state/keys/keys.ts';
import { checkShard } from '../../services/region/state/ledger/shards/shards.ts';
import { openLmdbStore } from '../../services/region/store/lmdb-store.ts';
import { renewStore } from '../../services/region/store/renew-store.ts';
import type { Store, TableName } from '../../services/region/store/store.ts';
import { decodeEmbedding, decodeItem } from '../../services/region/wal/documents.ts';
import { KeyRow } from '../../services/region/wal/key-rows.ts';
import { openLog } from '../../services/region/wal/log.ts';
import { CheckedStore, checkedTables, checkedValue, hasAllChecksums } from '../../services/region/wal/row-checksums.ts';
import type { Wal } from '../../services/region/wal/wal.ts';
import { messageOf } from '../../shared/errors/errors.ts';
import { floatBytes } from '../../shared/kernel/floats.ts';
import { type Clock, sleep } from '../../shared/kernel/kernel.ts';
import { compareOrder, type Event, type Order } from '../../shared/protocol/events.ts';
import { keyIdOf, writeIndexOf } from '../../shared/protocol/idempotency.ts';
import { type Position, totalOf } from '../../shared/protocol/position.ts';

/** Batches between two turns for other work. */
const TURN_BATCHES = 64;
const TURN_ROWS = 4_096;

export interface Damage {
  /** `us-east@…:17`, `items 42`, `shard 7`, `vectors/index`. */
  readonly at: string;
  readonly what: string;
}

export interface Verified {
  readonly damages: readonly Damage[];
  readonly region: string;
  readonly batches: number;
  readonly events: number;
  readonly registers: number;
  readonly shards: number;
}

type Found = (at: string, what: unknown) => void;

/** `directory`: that of `data.mdb`, which no process writes to. */
export async function verifyStore(clock: Clock, directory: string): Promise<Verified> {
  try {
    await renewStore({ directory, clock });
  } catch (error) {
    return { ...NOTHING, damages: [{ at: 'data.mdb', what: messageOf(error) }] };
  }
  const store = openLmdbStore({ path: directory, readOnly: true });
  try {
    return await verifyRows(clock, store);
  } finally {
    await store.close();
  }
}

const NOTHING: Verified = { damages: [], region: '', batches: 0, events: 0, registers: 0, shards: 0 };

/** The rows of a store whose pages can be read. */
export async function verifyRows(clock: Clock, store: Store): Promise<Verified> {
  const damages: Damage[] = [];
  const damaged = new Set<string>();
  const found: Found = (at, what) => {
    // The row was named already: what does not fit it follows from that.
    if (damaged.has(at)) return;
    damages.push({ at, what: typeof what === 'string' ? what : messageOf(what) });
  };
  for (const table of checkedTables) await verifyChecksums(clock, store, table, found);
  for (const { at } of damages) damaged.add(at);
  let wal: Wal;
  try {
    wal = openLog({ store });
  } catch (error) {
    if (damages.length === 0) found('origins and marks', error);
    return { ...NOTHING, damages };
  }
  if (damages.length === 0) attempt(() => checkRecords(clock, wal, {}), 'origins and marks', found);
  const log = await verifyLog(clock, new CheckedStore(store), wal, found);
  const shards = verifyShards(wal, found);
  // Every row by the rules of a received store. What was found above is not repeated.
  if (damages.length === 0) await checkContents(clock, wal).catch((error: unknown) => found('rows', error));
  return { ...log, shards, region: String(wal.mark('region') ?? ''), damages };
}

async function verifyChecksums<T extends TableName>(clock: Clock, store: Store, table: T, found: Found): Promise<void> {
  const every = hasAllChecksums(store);
  let rows = 0;
  for (const { key, value } of store.range(table, {})) {
    if (++rows % TURN_ROWS === 0) await sleep(clock, 0);
    try {
      checkedValue(table, key, value, every);
    } catch (error) {
      found(`${table} ${String(key)}`, error);
    }
  }
}

async function verifyLog(
  clock: Clock,
  store: Store,
  wal: Wal,
  found: Found,
): Promise<Pick<Verified, 'batches' | 'events' | 'registers'>> {
  const schema = wal.mark('schema') as SchemaDescription | undefined;
  const declared = schema && declaredBy(schema);
  let [batches, events, registers] = [0, 0, 0];
  let before = { origin: '', next: 0, chain: NO_PREDECESSOR, isWhole: true };
  const ended = (): void => {
    const last = wal.origin(before.origin)?.last ?? 0;
    if (before.origin === '' || before.next === last + 1) return;
    const what = before.next > last ? `it ends with ${last} by its record` : `the batches up to ${last} are missing`;
    found(`${before.origin}:${before.next}`, what);
  };
  for (const { key, value } of store.range('batches', {})) {
    const [origin, first] = key;
    const at = `${origin}:${first}`;
    const info = wal.origin(origin);
    if (++batches % TURN_BATCHES === 0) await sleep(clock, 0);
    if (info === undefined) {
      found(at, 'there is a batch of an origin that the store has no record of');
      continue;
    }
    if (before.origin !== origin) {
      ended();
      before = { origin, next: info.first, chain: NO_PREDECESSOR, isWhole: info.first === 1 };
    }
    if (first !== before.next) found(`${origin}:${before.next}`, `the batch is missing; the next one is ${at}`);
    try {
      const batch = decodeBatchUnder(wal.quarantine, value);
      if (batch.origin !== origin || batch.first !== first || batch.epoch !== info.epoch) {
        throw new Error(`it is the batch ${batch.origin}:${batch.first} of epoch ${batch.epoch}`);
      }
      const follows = !before.isWhole || first !== before.next || Buffer.compare(batch.chain, before.chain) === 0;
      if (!follows) found(at, 'it does not chain to the batch before it');
      const flaw = declared && undeclaredIn(batch, declared);
      if (flaw !== undefined) found(at, `it ${flaw}`);
      before = { origin, next: batch.last + 1, chain: chainHash(value), isWhole: true };
      events += batch.last - first + 1;
      if (batch.last === info.last && Buffer.compare(before.chain, info.chain) !== 0) {
        found(at, 'it is the last one, and not the one that the record of its origin names');
      }
      if (batch.signals !== undefined) continue;
      for (const [index, event] of batch.events.entries()) {
        const sequence = first + index;
        if (wal.quarantine.touches(origin, sequence, sequence)) continue;
        const order = { epoch: batch.epoch, hlc: event.hlc, origin, sequence };
        verifyKey(store, event, order, found);
        if (event.kind === 'signal' || event.kind === 'retraction') continue;
        verifyRegisters(store, event, order, found);
        registers++;
      }
    } catch (error) {
      found(at, error);
      // Where it ends is unknown: what follows it is looked at on its own.
      const next = store
        .range('batches', { from: [origin, first + 1], limit: 1 })
        [Symbol.iterator]()
        .next();
      const isSame = next.done !== true && next.value.key[0] === origin;
      before = { origin, next: isSame ? next.value.key[1] : info.last + 1, chain: NO_PREDECESSOR, isWhole: false };
    }
  }
  ended();
  return { batches, events, registers };
}

/** The registers of an event's entity: at least as new as the event; if it is the winner, with what it wrote. */
function verifyRegisters(store: Store, event: Event, order: Order, found: Found): void {
  const writes = {
    items: event.kind !== 'embedding',
    embeddings: event.kind !== 'item',
  };
  for (const table of ['items', 'embeddings'] as const) {
    if (!writes[table]) continue;
    const at = `${table} ${event.entity}`;
    try {
      const stored = store.get(table, event.entity);
      if (stored === undefined) {
        found(at, `there is no register, and ${order.origin}:${order.sequence} wrote one`);
        continue;
      }
      const register = table === 'items' ? decodeItem(stored) : decodeEmbedding(stored);
      const compared = compareOrder(register.order, order);
      const { origin, sequence } = register.order;
      const isWinner = origin === order.origin && sequence === order.sequence;
      const writer = `${order.origin}:${order.sequence}`;
      // No two events of an epoch have one clock value.
      const isRenamed = !isWinner && register.order.epoch === order.epoch && register.order.hlc === order.hlc;
      if (isRenamed) found(at, `it names ${origin}:${sequence}, and has the clock value of ${writer}`);
      else if (isWinner && compared !== 0)
        found(at, `its epoch or clock value is not that of ${writer}, which wrote it`);
      else if (compared < 0) found(at, `it was written by ${origin}:${sequence}, before ${writer}`);
      if (compared !== 0) continue;
      const content = 'metadata' in register ? register.metadata : register.values && floatBytes(register.values);
      const wanted = contentOf(event);
      const same =
        wanted === undefined ? content === undefined : content !== undefined && Buffer.compare(content, wanted) === 0;
      if (!same) found(at, `it does not have what ${order.origin}:${order.sequence} wrote`);
    } catch (error) {
      found(at, error);
    }
  }
}

/** The idempotency record of a keyed event, if it was not removed since: it has the event, as it is in the log. */
function verifyKey(store: Store, event: Event, order: Order, found: Found): void {
  const { key } = event;
  if (key === undefined) return;
  const at = `keyed ${keyIdOf(key.id)}`;
  const { origin, sequence } = order;
  try {
    const stored = store.get('keyed', keyIdOf(key.id));
    if (stored === undefined) return;
    const { epoch: _, values, ...wanted } = copyOf(event, key, order);
    const has = [...new KeyRow(stored).copies()].some(({ index, epoch, values: stored, ...copy }) => {
      const isOf = index === writeIndexOf(key.id) && (epoch === order.epoch || epoch === MENDED_EPOCH);
      // A row of an earlier version has no hash of the values.
      return isOf && (stored ?? values) === values && isDeepStrictEqual(copy, wanted);
    });
    if (!has) found(at, `it does not have ${origin}:${sequence}, which is under it, as it is in the log`);
  } catch (error) {
    found(at, error);
  }
}

function contentOf(event: Event): Uint8Array | undefined {
  if (event.kind === 'item') return encodeMetadata(event.metadata);
  return event.kind === 'embedding' ? floatBytes(event.values) : undefined;
}

function verifyShards(wal: Wal, found: Found): number {
  const schema = wal.mark('schema') as SchemaDescription | undefined;
  const declared = schema && declaredBy(schema);
  const events = totalOf(wal.durable);
  let shards = 0;
  let position: Position;
  try {
    ({ position } = readCheckpointPosition(wal.mark('checkpoint')));
  } catch (error) {
    found('marks checkpoint', error);
    return 0;
  }
  for (const [shard, row] of wal.shards()) {
    shards++;
    attempt(
      () => {
        const { shard: bytes } = unpackShard(row, position);
        checkShard(shard, bytes, { hasSignal: (name) => declared?.hasSignal(name) ?? true, events });
      },
      `shard ${shard}`,
      found,
    );
  }
  return shards;
}

function attempt(work: () => void, at: string, found: Found): void {
  try {
    work();
  } catch (error) {
    found(at, error);
  }
}
