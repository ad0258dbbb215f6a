/**
 * The configured size of the store: a leader that has reached it refuses writes (507) and continues with everything else. And the
 * configured number of idempotency keys, and half of the store for their rows: beyond either, writes under a new key are refused,
 * and others continue. Received events are still appended, so that a follower with a smaller limit does not fall behind.
 */

import { Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { KEY_KEPT_MS } from '../state/keys/keys.ts';
import type { Store } from '../store/store.ts';
import type { Wal } from './wal.ts';

/** Reading the store's sizes reads its trees' statistics, so it is not done with every write. */
const LOOK_EVERY_MS = 250;

export interface StorageLimitOptions {
  readonly clock: Clock;
  readonly store: Store;
  readonly limitBytes: number;
  /** Named in the refusal. */
  readonly region: string;
  readonly metrics: Metrics;
}

/** Why no write is accepted now, if the limit is the reason. Overshoots by what is written within {@link LOOK_EVERY_MS}. */
export function createStorageLimit({
  clock,
  store,
  limitBytes,
  region,
  metrics,
}: StorageLimitOptions): () => Refusal | undefined {
  metrics.gauge({
    name: 'tidal_store_used_bytes',
    help: 'Size of the LMDB file.',
    read: () => store.sizes().usedBytes,
  });
  metrics.gauge({
    name: 'tidal_store_free_bytes',
    help: 'Bytes of the LMDB file that are free for reuse.',
    read: () => store.sizes().freeBytes,
  });
  metrics.gauge({
    name: 'tidal_store_limit_bytes',
    help: 'Size the LMDB file may grow to, as configured.',
    read: () => limitBytes,
  });
  let lookedMs = Number.NEGATIVE_INFINITY;
  let refusal: Refusal | undefined;
  return () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - lookedMs < LOOK_EVERY_MS) return refusal;
    lookedMs = nowMs;
    const { usedBytes, freeBytes } = store.sizes();
    refusal =
      usedBytes - freeBytes <= limitBytes
        ? undefined
        : new Refusal('storage_full', `the log of ${region} has reached its limit of ${limitBytes} bytes`, {
            hint: 'raise --log-max-bytes of the regions; reads and replication continue',
          });
    return refusal;
  };
}

export interface KeyLimitOptions {
  readonly clock: Clock;
  readonly wal: Pick<Wal, 'keys' | 'keyBytes' | 'keysForgottenMs'>;
  /** Idempotency keys that may be known; a bulk has one. */
  readonly limit: number;
  /** Limit of the store, bytes. */
  readonly storeLimitBytes: number;
  /** Named in the refusal. */
  readonly region: string;
  readonly metrics: Metrics;
}

/** Share of the store for idempotency records: clients with large keyed bulks must not block all other writes. */
const KEYS_SHARE = 1 / 2;

/** Limit of the bytes of all idempotency records. */
export function keyBytesLimit(storeLimitBytes: number): number {
  return storeLimitBytes * KEYS_SHARE;
}

/** Why no write under a new key is accepted now. Overshoots by what is written within {@link LOOK_EVERY_MS}. */
export function createKeyLimit({
  clock,
  wal,
  limit,
  storeLimitBytes,
  region,
  metrics,
}: KeyLimitOptions): () => Refusal | undefined {
  metrics.gauge({ name: 'tidal_idempotency_keys_limit', help: 'Idempotency keys it may know.', read: () => limit });
  const limitBytes = keyBytesLimit(storeLimitBytes);
  let lookedMs = Number.NEGATIVE_INFINITY;
  let refusal: Refusal | undefined;
  const look = (): Refusal | undefined => {
    const hint = 'or wait: keys are removed after eight days; writes without a key are accepted';
    if (wal.keys >= limit) {
      return new Refusal('storage_full', `${region} knows ${limit} idempotency keys, its limit`, {
        hint: `raise --idempotency-keys-limit of the regions, ${hint}`,
      });
    }
    if (wal.keyBytes < limitBytes) return undefined;
    return new Refusal('storage_full', `the idempotency keys of ${region} take ${limitBytes} bytes, their limit`, {
      hint: `raise --log-max-bytes of the regions, half of which they may take, ${hint}`,
    });
  };
  return () => {
    // A write accepted at such a time might repeat one whose record was removed; the other regions would refuse it.
    if (clock.nowMs() < wal.keysForgottenMs + KEY_KEPT_MS) {
      return new Refusal('clock_unsafe', `the clock of ${region} was set back by more than a day`, {
        hint: 'set it; writes without a key are accepted',
      });
    }
    const nowMs = clock.monotonicMs();
    if (nowMs - lookedMs >= LOOK_EVERY_MS) {
      lookedMs = nowMs;
      refusal = look();
    }
    return refusal;
  };
}
