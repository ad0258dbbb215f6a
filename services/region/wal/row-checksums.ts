/**
 * Checksums of the rows of a store. Batches and ledger shards have their own; every other row gets one here, over table, key and
 * value, so that a flipped bit, or a row under another key, is found whenever the row is read, and named. Format 2 of the store.
 *
 *     u8 4 · u32 CRC-32 · value              of a record of an origin, a register or a row of idempotency records
 *     {"crc32":"0badcafe","value":…}         of a mark: a program that knows format 1 only reads the marks before it refuses
 *
 * The mark `format` alone stands as it is, since every version reads it. A flipped bit makes none of the known formats out of
 * another: the store is refused, as one that a later version has written would be.
 *
 * A store of format 1 has rows without a checksum: they are read as they are until a start has rewritten all of them
 * (`add-checksums.ts`) and stored the mark `checked`. From then on a row without one is damaged. No row of format 1 begins with a
 * byte that differs from 4 by one bit only and can be decoded.
 */
import { crc32 } from 'node:zlib';
import { STORE_FORMAT } from '../../../shared/protocol/version.ts';
import {
  type RangeOptions,
  type Store,
  type StoreSizes,
  type StoreTables,
  type StoreTransaction,
  type TableName,
  tableNames,
} from '../store/store.ts';
import { DamagedRow } from './wal.ts';

/** The tables whose rows get a checksum here. */
export const checkedTables = ['origins', 'items', 'embeddings', 'keyed', 'keys', 'marks'] as const;

const CHECKED = 4;
const VALUE_AT = 5;
const MARK_START = '{"crc32":"';
const MARK_VALUE_AT = '{"crc32":"0badcafe","value":'.length;
const PLAIN_MARK = 'format';

function isChecked(table: TableName): boolean {
  return table !== 'batches' && table !== 'shards';
}

const tableCrc = Object.fromEntries(tableNames.map((table) => [table, crc32(table)])) as Record<TableName, number>;

/** At a start there are millions of registers: their numbers are mixed into the first value of the one CRC. */
function crcOf(table: TableName, key: unknown, value: Uint8Array): number {
  if (typeof key !== 'number') return crc32(value, crc32(String(key), tableCrc[table]));
  const high = Math.floor(key / 2 ** 32);
  return crc32(value, (tableCrc[table] ^ key ^ Math.imul(high, 0x9e3779b1)) >>> 0);
}

/** The row as it is stored. */
export function withChecksum<T extends TableName>(table: T, key: StoreTables[T], value: Uint8Array): Uint8Array {
  if (!isChecked(table)) return value;
  const crc = crcOf(table, key, value);
  if (table === 'marks') {
    if (key === PLAIN_MARK) return value;
    const head = `${MARK_START}${crc.toString(16).padStart(8, '0')}","value":`;
    return Buffer.concat([Buffer.from(head), value, Buffer.from('}')]);
  }
  const row = Buffer.allocUnsafe(VALUE_AT + value.length);
  row[0] = CHECKED;
  row.writeUInt32LE(crc, 1);
  row.set(value, VALUE_AT);
  return row;
}

/** Whether the stored row has a checksum. */
export function hasChecksum(table: TableName, key: unknown, stored: Uint8Array): boolean {
  if (!isChecked(table)) return true;
  if (table !== 'marks') return stored[0] === CHECKED;
  return key === PLAIN_MARK || bufferOf(stored).toString('latin1', 0, MARK_START.length) === MARK_START;
}

/**
 * The value of a stored row; it shares the row's memory. Throws {@link DamagedRow}. `every`: every row of the store has a
 * checksum; otherwise one without is returned as it is.
 */
export function checkedValue<T extends TableName>(
  table: T,
  key: StoreTables[T],
  stored: Uint8Array,
  every: boolean,
): Uint8Array {
  if (!isChecked(table) || (table === 'marks' && key === PLAIN_MARK)) return stored;
  if (!hasChecksum(table, key, stored)) {
    if (every) throw new DamagedRow(table, key as string, 'it has no checksum');
    return stored;
  }
  const row = bufferOf(stored);
  const isMark = table === 'marks';
  const value = isMark ? row.subarray(MARK_VALUE_AT, -1) : row.subarray(VALUE_AT);
  const isWhole = isMark
    ? Buffer.compare(withChecksum('marks', key as string, value), row) === 0
    : row.length >= VALUE_AT && row.readUInt32LE(1) === crcOf(table, key, value);
  if (!isWhole) throw new DamagedRow(table, key as string, 'its checksum is wrong');
  return value;
}

/** The same store, whose rows have checksums. Reads of a damaged row throw {@link DamagedRow}. */
export class CheckedStore implements Store {
  private readonly store: Store;
  /** Its format is stated: before a commit writes the first row that an earlier program cannot read. */
  private stated: boolean;
  /** No row without a checksum is valid. */
  private readonly every: boolean;
  private readonly isNew: boolean;

  constructor(store: Store) {
    this.store = store;
    const format = store.get('marks', PLAIN_MARK);
    this.isNew = format === undefined && tableNames.every((table) => store.count(table) === 0);
    this.stated = format !== undefined && bufferOf(format).toString() === String(STORE_FORMAT);
    this.every = this.isNew || hasAllChecksums(store);
  }

  get<T extends TableName>(table: T, key: StoreTables[T]): Uint8Array | undefined {
    const stored = this.store.get(table, key);
    return stored && checkedValue(table, key, stored, this.every);
  }

  *range<T extends TableName>(
    table: T,
    options: RangeOptions<StoreTables[T]>,
  ): Iterable<{ readonly key: StoreTables[T]; readonly value: Uint8Array }> {
    for (const { key, value } of this.store.range(table, options)) {
      yield { key, value: checkedValue(table, key, value, this.every) };
    }
  }

  async commit(work: (transaction: StoreTransaction) => void): Promise<void> {
    await this.store.commit((transaction) => {
      if (!this.stated) {
        transaction.put('marks', PLAIN_MARK, Buffer.from(String(STORE_FORMAT)));
        if (this.isNew) markChecked(transaction);
      }
      work({
        get: (table, key) => {
          const stored = transaction.get(table, key);
          return stored && checkedValue(table, key, stored, this.every);
        },
        put: (table, key, value) => transaction.put(table, key, withChecksum(table, key, value)),
        remove: (table, key) => transaction.remove(table, key),
      });
    });
    this.stated = true;
  }

  sizes(): StoreSizes {
    return this.store.sizes();
  }

  count(table: TableName): number {
    return this.store.count(table);
  }

  bytes(table: TableName): number {
    return this.store.bytes(table);
  }

  close(): Promise<void> {
    return this.store.close();
  }
}

/** Whether every row of the store has a checksum, by its mark. */
export function hasAllChecksums(store: Pick<Store, 'get'>): boolean {
  return store.get('marks', 'checked') !== undefined;
}

/** From this commit on a row without a checksum is damaged. */
export function markChecked(transaction: Pick<StoreTransaction, 'put'>): void {
  transaction.put('marks', 'checked', withChecksum('marks', 'checked', Buffer.from('true')));
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
