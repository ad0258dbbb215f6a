/**
 * The configured size of the store: a leader that has reached it refuses writes (507) and goes on with everything else.
 * And the configured number of idempotency keys: beyond it writes under a new key are refused, and the others go on.
 * What others accepted is still taken, so that a follower with a smaller limit does not fall behind for it.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { KEY_KEPT_MS } from '../state/keys/keys.ts';
import type { Store } from './store.ts';
import type { Wal } from './wal.ts';

/** Asking the store for its sizes walks its trees' statistics: not with every write. */
const LOOK_EVERY_MS = 250;

export interface StorageLimitOptions {
  readonly clock: Clock;
  readonly store: Store;
  readonly limitBytes: number;
  /** Named in the refusal. */
  readonly region: string;
}

/** Why no write is accepted now, if the limit is the reason. Overshoots by what is written within {@link LOOK_EVERY_MS}. */
export function createStorageLimit({
  clock,
  store,
  limitBytes,
  region,
}: StorageLimitOptions): () => Refusal | undefined {
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
            hint: 'raise --log-max-bytes of the regions; reads and replication go on',
          });
    return refusal;
  };
}

export interface KeyLimitOptions {
  readonly clock: Clock;
  readonly wal: Pick<Wal, 'keys' | 'keysForgottenMs'>;
  /** Ids of idempotency keys that may be known. */
  readonly limit: number;
  /** Named in the refusal. */
  readonly region: string;
}

/** What part of them bulks may take: a few hundred requests of 20,000 writes each must not close keyed writes to everybody else. */
const BULK_SHARE = 1 / 2;

/**
 * Why a request that needs so many new keys is not accepted now. Overshoots by what single writes bring within
 * {@link LOOK_EVERY_MS}, and by no bulk.
 */
export function createKeyLimit({ clock, wal, limit, region }: KeyLimitOptions): (ids: number) => Refusal | undefined {
  const bulkLimit = Math.floor(limit * BULK_SHARE);
  let lookedMs = Number.NEGATIVE_INFINITY;
  let known = 0;
  return (ids) => {
    // What is accepted at such a time might repeat a write whose key is forgotten; the other regions would not take it.
    if (clock.nowMs() < wal.keysForgottenMs + KEY_KEPT_MS) {
      return new Refusal('clock_unsafe', `the clock of ${region} was set back by more than a day`, {
        hint: 'set it; writes without a key go on',
      });
    }
    const nowMs = clock.monotonicMs();
    if (nowMs - lookedMs >= LOOK_EVERY_MS) {
      lookedMs = nowMs;
      known = wal.keys;
    }
    if (known >= limit) {
      return new Refusal('storage_full', `${region} knows ${limit} idempotency keys, its limit`, {
        hint: 'raise --idempotency-keys-limit of the regions, or wait: keys are forgotten after eight days; writes without a key go on',
      });
    }
    if (ids === 1) return undefined;
    if (ids > bulkLimit) {
      return new Refusal('body_too_large', `a bulk of ${ids} writes needs as many keys; bulks may have ${bulkLimit}`, {
        hint: 'send it in smaller parts, or raise --idempotency-keys-limit of the regions',
      });
    }
    if (known + ids > bulkLimit) {
      return new Refusal(
        'storage_full',
        `${region} knows ${known} idempotency keys; bulks may bring them to ${bulkLimit}`,
        {
          hint: 'send the writes one by one, each under a key, or without keys; or raise --idempotency-keys-limit of the regions',
        },
      );
    }
    known += ids;
    return undefined;
  };
}
