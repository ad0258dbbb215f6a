/**
 * Damaged batches and registers of a store, and how they are restored.
 *
 * A batch is only replaced by the very bytes that were written there: its successor, or the record of its origin, has their
 * SHA-256. So whatever a peer sends, the log stays the same log. A register is computed again from the whole log, if the log still
 * has every event; otherwise it cannot be known exactly, and nothing is changed.
 */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import type { Quarantine } from '../../../shared/protocol/quarantine.ts';
import { type BatchHeader, chainHash, decodeBatchUnder, decodeHeader } from '../batch/batch.ts';
import { DamagedBatch, InvalidBatch, predecessorHash } from '../batch/reader/reader.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import { mergeRegisters } from './merge-registers.ts';
import { CheckedStore } from './row-checksums.ts';
import { type BatchRange, DamagedRow, type OriginInfo } from './wal.ts';

/** A stored batch that is not as it was written; undefined for one that is. */
export function damageOf(
  store: Pick<Store, 'range'>,
  info: OriginInfo,
  first: number,
  bytes: Uint8Array,
): DamagedRow | undefined {
  const { origin } = info;
  let header: BatchHeader;
  try {
    header = decodeHeader(bytes);
  } catch (error) {
    const isChecked = !(error instanceof DamagedBatch) || error instanceof InvalidBatch;
    // The bytes before the checksum, with the version, are not in it: the hash in the successor says whether it was written so.
    const hash = chainHash(bytes);
    const written = chainAfter(store, info, first);
    if (isChecked && written !== undefined && Buffer.compare(hash, written) === 0) return undefined;
    return new DamagedRow('batches', `${origin}:${first}`, messageOf(error));
  }
  if (header.origin === origin && header.first === first) return undefined;
  return new DamagedRow('batches', `${origin}:${first}`, `it is the batch ${header.origin}:${header.first}`);
}

/** The hash of the batch that begins there, by what follows it; undefined if that cannot be read. */
function chainAfter(store: Pick<Store, 'range'>, info: OriginInfo, first: number): Uint8Array | undefined {
  const { origin, last, chain } = info;
  for (const { value } of store.range('batches', { from: [origin, first + 1], to: [origin, last], limit: 1 })) {
    try {
      return predecessorHash(value);
    } catch {
      return undefined;
    }
  }
  return chain;
}

/** The damaged batches of an origin from that one on, in order; `run`: up to the first that is whole. */
export function* damagedFrom(store: Store, info: OriginInfo, from: number, run = false): Iterable<BatchRange> {
  const { origin, last } = info;
  let damaged: number | undefined;
  for (const { key, value } of store.range('batches', { from: [origin, from], to: [origin, last] })) {
    if (damaged !== undefined) yield { origin, first: damaged, last: key[1] - 1 };
    damaged = damageOf(store, info, key[1], value) === undefined ? undefined : key[1];
    if (run && damaged === undefined) return;
  }
  if (damaged !== undefined) yield { origin, first: damaged, last };
}

/** Why these bytes are not the batch that was written there; undefined if they are. */
export function restorationFlaw(
  store: Pick<Store, 'range'>,
  info: OriginInfo,
  { origin, first, last }: BatchRange,
  bytes: Uint8Array,
): string | undefined {
  try {
    const header = decodeHeader(bytes);
    if (header.origin !== origin || header.first !== first || header.last !== last || header.epoch !== info.epoch) {
      return `it is the batch ${header.origin}:${header.first}-${header.last} of epoch ${header.epoch}`;
    }
    const chain = chainAfter(store, info, first);
    if (chain === undefined) return 'its successor is damaged';
    return Buffer.compare(chainHash(bytes), chain) === 0
      ? undefined
      : 'it is not the predecessor that its successor names';
  } catch (error) {
    return messageOf(error);
  }
}

type RegisterTable = 'items' | 'embeddings';

/**
 * Writes the damaged registers anew. Returns how many there were. Throws {@link DamagedRow} for one that the log cannot give,
 * and then changes nothing.
 */
export async function restoreRegisters(
  plain: Store,
  log: { readonly origins: readonly OriginInfo[]; readonly quarantine: Quarantine; readonly isMended: boolean },
): Promise<number> {
  const store = new CheckedStore(plain);
  const rows = new Map<string, Uint8Array | undefined>();
  let example: DamagedRow | undefined;
  for (const table of ['items', 'embeddings'] as const) {
    for (const { key } of plain.range(table, {})) {
      try {
        store.get(table, key);
      } catch (error) {
        if (!(error instanceof DamagedRow)) throw error;
        example ??= error;
        rows.set(nameOf(table, key), undefined);
      }
    }
  }
  if (example === undefined) return 0;
  if (log.isMended || log.origins.some(({ first }) => first > 1)) throw example;
  const registers: Pick<StoreTransaction, 'get' | 'put'> = {
    get: (table, key) => rows.get(nameOf(table as RegisterTable, key as number)),
    put(table, key, value) {
      const name = nameOf(table as RegisterTable, key as number);
      if (rows.has(name)) rows.set(name, value);
    },
  };
  for (const { value } of plain.range('batches', {}))
    mergeRegisters(registers, decodeBatchUnder(log.quarantine, value));
  // The row itself may be what is wrong about it: no event of the log wrote it.
  if ([...rows.values()].includes(undefined)) throw example;
  await store.commit((transaction) => {
    for (const [name, value] of rows) {
      const [table, entity] = name.split(' ') as [RegisterTable, string];
      transaction.put(table, Number(entity), value!);
    }
  });
  return rows.size;
}

function nameOf(table: RegisterTable, entity: number): string {
  return `${table} ${entity}`;
}

/** The damaged row that the error is about, or was caused by. */
export function damagedRowOf(error: unknown): DamagedRow | undefined {
  if (error instanceof DamagedRow) return error;
  return error instanceof Fault && error.cause !== undefined ? damagedRowOf(error.cause) : undefined;
}
