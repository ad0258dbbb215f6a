/**
 * Damaged batches and registers of a store, and how they are restored.
 *
 * A batch is only replaced by the very bytes that were written there: its successor, or the record of its origin, has their
 * SHA-256. So whatever a peer sends, the log stays the same log. A register is computed again from the whole log, if the log still
 * has every event; otherwise it cannot be known exactly, and nothing is changed.
 */
import { Fault } from '../../../shared/errors/errors.ts';
import type { Quarantine } from '../../../shared/protocol/quarantine.ts';
import { type BatchHeader, chainHash, decodeBatchUnder, decodeHeader } from '../batch/batch.ts';
import { DamagedBatch, InvalidBatch, predecessorHash } from '../batch/reader/reader.ts';
import { inSlices, progressOf, type SlicesOptions } from '../slices/slices.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import { mergeRegisters } from './merge-registers.ts';
import { CheckedStore, checkedValue, hasAllChecksums } from './row-checksums.ts';
import { type BatchRange, DamagedRow, type OriginInfo, type SearchOptions } from './wal.ts';

/**
 * The header of a stored batch; `DamagedRow` for one that is not as it was written; any other fault for one that was written so,
 * and that this program cannot read.
 */
export function headerOf(
  store: Pick<Store, 'range'>,
  info: OriginInfo,
  first: number,
  bytes: Uint8Array,
): BatchHeader | Fault {
  const at = `${info.origin}:${first}`;
  try {
    const header = decodeHeader(bytes);
    if (header.origin === info.origin && header.first === first) return header;
    return new DamagedRow('batches', at, `it is the batch ${header.origin}:${header.first}`);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const isChecked = !(error instanceof DamagedBatch) || error instanceof InvalidBatch;
    // The bytes before the checksum, with the version, are not in it: the hash in the successor says whether it was written so.
    const written = isChecked ? chainAfter(store, info, first) : undefined;
    if (written !== undefined && Buffer.compare(chainHash(bytes), written) === 0) return error;
    return new DamagedRow('batches', at, error.message);
  }
}

/** The hash of the batch that begins there, by what follows it; undefined if that cannot be read. */
function chainAfter(store: Pick<Store, 'range'>, info: OriginInfo, first: number): Uint8Array | undefined {
  const { origin, last, chain } = info;
  for (const { value } of store.range('batches', { from: [origin, first + 1], to: [origin, last], limit: 1 })) {
    try {
      return predecessorHash(value);
    } catch (error) {
      if (error instanceof DamagedBatch) return undefined;
      throw error;
    }
  }
  return chain;
}

/** The damaged batches, in order; if the signal is aborted meanwhile, those that were found before. */
export async function damagedBatches(
  store: Pick<Store, 'range'>,
  origins: readonly OriginInfo[],
  options: SearchOptions,
): Promise<BatchRange[]> {
  const { from, clock, signal } = options;
  const known = new Map(origins.map((info) => [info.origin, info]));
  const bounds =
    from === undefined
      ? {}
      : ({ from: [from.origin, from.first], to: [from.origin, Number.MAX_SAFE_INTEGER] } as const);
  const report = progressOf(options, 'looking for damaged batches');
  const found: BatchRange[] = [];
  let batches = 0;
  let damaged: { readonly info: OriginInfo; readonly first: number } | undefined;
  /** The damaged one ends before the batch `next`, or is the last of its origin. */
  const end = (next?: readonly [string, number]): void => {
    if (damaged === undefined) return;
    const { info, first } = damaged;
    found.push({ origin: info.origin, first, last: next?.[0] === info.origin ? next[1] - 1 : info.last });
    damaged = undefined;
  };
  for await (const rows of inSlices({ store, clock, table: 'batches', ...bounds })) {
    for (const { key, value } of rows) {
      const info = known.get(key[0]);
      // Appended since the search began.
      if (info === undefined || key[1] > info.last) continue;
      end(key);
      if (headerOf(store, info, key[1], value) instanceof DamagedRow) damaged = { info, first: key[1] };
      else if (from !== undefined) return found;
    }
    batches += rows.length;
    report({ batches, damaged: found.length });
    if (signal?.aborted === true) return found;
  }
  end();
  return found;
}

/** Writes the batch back; returns why these bytes are not it, and then changes nothing. */
export async function restoreBatch(
  store: Store,
  info: OriginInfo,
  range: BatchRange,
  bytes: Uint8Array,
): Promise<string | undefined> {
  const key = [range.origin, range.first] as const;
  // Trimmed meanwhile.
  if (store.get('batches', key) === undefined) return undefined;
  const flaw = restorationFlaw(store, info, range, bytes);
  if (flaw === undefined) await store.commit((transaction) => transaction.put('batches', key, bytes));
  return flaw;
}

/** Why these bytes are not the batch that was written there; undefined if they are. */
function restorationFlaw(
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
    if (error instanceof Fault) return error.message;
    throw error;
  }
}

/** By table and entity: the registers that are damaged, as the log defines them so far. */
type Registers = Record<'items' | 'embeddings', Map<number, Uint8Array | undefined>>;

interface RestoredLog {
  readonly origins: readonly OriginInfo[];
  readonly quarantine: Quarantine;
  readonly isMended: boolean;
}

/**
 * Writes the damaged registers anew. Returns how many there were; undefined, and changes nothing, if the signal is aborted before.
 * Throws {@link DamagedRow} for one that the log cannot give, and then changes nothing.
 */
export async function restoreRegisters(
  plain: Store,
  log: RestoredLog,
  options: SlicesOptions,
): Promise<number | undefined> {
  const { clock, signal } = options;
  const damaged: Registers = { items: new Map(), embeddings: new Map() };
  const every = hasAllChecksums(plain);
  const looked = progressOf(options, 'looking for damaged registers');
  let example: DamagedRow | undefined;
  let registers = 0;
  for (const table of ['items', 'embeddings'] as const) {
    for await (const rows of inSlices({ store: plain, table, clock })) {
      for (const { key, value } of rows) {
        const damage = damageOf(() => checkedValue(table, key, value, every));
        if (damage === undefined) continue;
        example ??= damage;
        damaged[table].set(key, undefined);
      }
      registers += rows.length;
      looked({ registers, damaged: damaged.items.size + damaged.embeddings.size });
      if (signal?.aborted === true) return undefined;
    }
  }
  if (example === undefined) return 0;
  if (log.isMended || log.origins.some(({ first }) => first > 1)) throw example;
  const written: Pick<StoreTransaction, 'get' | 'put'> = {
    get: (table, key) => damaged[table as keyof Registers].get(key as number),
    put(table, key, value) {
      const rows = damaged[table as keyof Registers];
      if (rows.has(key as number)) rows.set(key as number, value);
    },
  };
  const read = progressOf(options, 'computing damaged registers from the log');
  let batches = 0;
  for await (const rows of inSlices({ store: plain, table: 'batches', clock })) {
    for (const { value } of rows) mergeRegisters(written, decodeBatchUnder(log.quarantine, value));
    batches += rows.length;
    read({ batches, of: plain.count('batches') });
    if (signal?.aborted === true) return undefined;
  }
  const restored = [...damaged.items, ...damaged.embeddings].map(([, value]) => value);
  // The row itself may be what is wrong about it: no event of the log wrote it.
  if (restored.includes(undefined)) throw example;
  await new CheckedStore(plain).commit((transaction) => {
    for (const table of ['items', 'embeddings'] as const) {
      for (const [entity, value] of damaged[table]) transaction.put(table, entity, value!);
    }
  });
  return restored.length;
}

function damageOf(read: () => void): DamagedRow | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof DamagedRow) return error;
    throw error;
  }
}

/** The damaged row that the error is about, or was caused by. */
export function damagedRowOf(error: unknown): DamagedRow | undefined {
  if (error instanceof DamagedRow) return error;
  return error instanceof Fault && error.cause !== undefined ? damagedRowOf(error.cause) : undefined;
}
