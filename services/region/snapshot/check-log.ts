/**
 * Checking a whole log before it is trusted: every batch's checksum, that it follows its predecessor by sequence and by
 * chain, that each origin ends where its record says, and that a checkpoint can be read. For a copy that came from elsewhere.
 */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import { type BatchHeader, chainHash, decodeBatchUnder, NO_PREDECESSOR } from '../../../shared/protocol/batch.ts';
import { originPattern, regionOf } from '../../../shared/protocol/position.ts';
import { readFloor, unpackShard } from '../checkpoint/checkpoint.ts';
import type { Wal } from '../wal/wal.ts';

const READ_BYTES = 1024 * 1024;
/** Others get a turn at least this often. */
const TURN_MS = 10;

export interface CheckedLog {
  readonly origins: number;
  readonly batches: number;
  readonly events: number;
  /** Stored ledger shards. */
  readonly shards: number;
}

export interface CheckLogOptions {
  /** Whose origins it may hold; absent: anybody's. */
  readonly regions?: readonly string[] | undefined;
  /** Ends the check early. */
  readonly signal?: AbortSignal;
}

/** Throws `Fault('damaged_log')` or `Fault('damaged_checkpoint')` naming the first place that is not what it was. */
export async function checkLog(clock: Clock, wal: Wal, { regions, signal }: CheckLogOptions = {}): Promise<CheckedLog> {
  let batches = 0;
  let events = 0;
  let turnMs = clock.monotonicMs();
  for (const { origin, first, last, chain, epoch } of wal.origins()) {
    if (!originPattern.test(origin) || regions?.includes(regionOf(origin)) === false) {
      throw new Fault(
        'damaged_log',
        `the log holds ${origin}, which is of no region of the topology (see former_regions)`,
      );
    }
    let expected: Uint8Array | undefined = first === 1 ? NO_PREDECESSOR : undefined;
    for (let next = first; next <= last; ) {
      const parts = checked(`${origin}:${next}`, () => wal.read(origin, next, READ_BYTES));
      if (parts.length === 0) throw new Fault('damaged_log', `the log lacks ${origin}:${next}`);
      for (const bytes of parts) {
        const batch: BatchHeader = checked(`${origin}:${next}`, () => decodeBatchUnder(wal.quarantine, bytes));
        const follows = expected === undefined || Buffer.compare(batch.chain, expected) === 0;
        if (batch.origin !== origin || batch.epoch !== epoch || batch.first !== next || !follows) {
          throw new Fault('damaged_log', `the log breaks at ${origin}:${next}`);
        }
        expected = chainHash(bytes);
        next = batch.last + 1;
        batches++;
        events += batch.last - batch.first + 1;
      }
      if (clock.monotonicMs() - turnMs >= TURN_MS) {
        await sleep(clock, 0);
        turnMs = clock.monotonicMs();
      }
      if (signal?.aborted) return { origins: wal.origins().length, batches, events, shards: 0 };
    }
    if (first <= last && expected !== undefined && Buffer.compare(expected, chain) !== 0) {
      throw new Fault('damaged_log', `${origin} does not end with the batch its record names`);
    }
  }
  const { position: floor } = readFloor(wal.mark('checkpoint'));
  let shards = 0;
  for (const [, row] of wal.shards()) {
    unpackShard(row, floor);
    shards++;
    await sleep(clock, 0);
  }
  return { origins: wal.origins().length, batches, events, shards };
}

function checked<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Fault('damaged_log', `the log breaks at ${where}: ${messageOf(error)}`, { cause: error });
  }
}
