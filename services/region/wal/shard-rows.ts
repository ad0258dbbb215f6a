/** How a ledger shard is stored: in parts, one row each. */
import type { Store, StoreTransaction } from '../store/store.ts';

/** Rows of this size fill whole pages, and a run of this many pages is easily found among freed ones. */
const PART_BYTES = 16 * 4_096 - 16;

/** Replaces the stored shard. */
export function putShard(transaction: StoreTransaction, shard: number, bytes: Uint8Array): void {
  let part = 0;
  for (let at = 0; at < bytes.length || part === 0; at += PART_BYTES) {
    transaction.put('shards', [shard, part++], bytes.subarray(at, at + PART_BYTES));
  }
  while (transaction.get('shards', [shard, part]) !== undefined) transaction.remove('shards', [shard, part++]);
}

/** The stored shards, each once, ascending. */
export function* storedShards(store: Pick<Store, 'range'>): Iterable<readonly [shard: number, bytes: Uint8Array]> {
  let shard: number | undefined;
  let parts: Uint8Array[] = [];
  let isWhole = true;
  // If a part is missing, the shard is unusable: bytes that no checksum matches.
  const row = (): Uint8Array => (isWhole ? Buffer.concat(parts) : Buffer.alloc(0));
  for (const { key, value } of store.range('shards', {})) {
    if (shard !== undefined && key[0] !== shard) {
      yield [shard, row()];
      parts = [];
      isWhole = true;
    }
    shard = key[0];
    if (key[1] !== parts.length) isWhole = false;
    parts.push(value);
  }
  if (shard !== undefined) yield [shard, row()];
}
