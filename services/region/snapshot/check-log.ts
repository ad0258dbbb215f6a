/**
 * Checks a whole store before it is trusted: every batch's checksum and contents, that it follows its predecessor by sequence and
 * by chain, that each origin ends where and when its record says, and everything other than the log (`check-contents.ts`). For a
 * copy from another region or a backup.
 */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import { hlcRefusal } from '../../../shared/protocol/events.ts';
import { type Batch, chainHash, decodeBatchUnder, NO_PREDECESSOR, newestMsOf } from '../batch/batch.ts';
import { declaredBy, type SchemaDescription, undeclaredIn } from '../compatible/compatible.ts';
import { DamagedRow, type Wal } from '../wal/wal.ts';
import { type ContentRules, checkContents, checkRecords } from './check-contents.ts';

const READ_BYTES = 1024 * 1024;
/** Other work gets a turn at least this often. */
const TURN_MS = 10;

export interface CheckedLog {
  readonly origins: number;
  readonly batches: number;
  readonly events: number;
  /** Stored ledger shards. */
  readonly shards: number;
}

/** Throws `Fault('damaged_log')` or `Fault('damaged_checkpoint')` naming the first invalid batch or row. */
export async function checkLog(clock: Clock, wal: Wal, rules: ContentRules = {}): Promise<CheckedLog> {
  checkRecords(clock, wal, rules);
  const { signal } = rules;
  const schema = rules.schema ?? (wal.mark('schema') as SchemaDescription | undefined);
  const declared = schema && declaredBy(schema);
  const origins = wal.origins();
  let batches = 0;
  let events = 0;
  let turnMs = clock.monotonicMs();
  for (const { origin, first, last, chain, epoch, lastHlc, lastMs } of origins) {
    let expected: Uint8Array | undefined = first === 1 ? NO_PREDECESSOR : undefined;
    let end: Batch | undefined;
    for (let next = first; next <= last; ) {
      const parts = checked(`${origin}:${next}`, () => wal.read(origin, next, READ_BYTES));
      if (parts.length === 0) throw new Fault('damaged_log', `the log lacks ${origin}:${next}`);
      for (const bytes of parts) {
        const batch = checked(`${origin}:${next}`, () => decodeBatchUnder(wal.quarantine, bytes));
        const follows = expected === undefined || Buffer.compare(batch.chain, expected) === 0;
        if (batch.origin !== origin || batch.epoch !== epoch || batch.first !== next || !follows) {
          throw new Fault('damaged_log', `the log is damaged at ${origin}:${next}`);
        }
        const flaw = hlcRefusal(batch.lastHlc) ?? (declared && undeclaredIn(batch, declared));
        if (flaw !== undefined) throw new Fault('damaged_log', `the batch ${origin}:${next} ${flaw}`);
        expected = chainHash(bytes);
        end = batch;
        next = batch.last + 1;
        batches++;
        events += batch.last - batch.first + 1;
      }
      if (clock.monotonicMs() - turnMs >= TURN_MS) {
        await sleep(clock, 0);
        turnMs = clock.monotonicMs();
      }
      if (signal?.aborted) return { origins: origins.length, batches, events, shards: 0 };
    }
    if (end === undefined) continue;
    if (expected === undefined || Buffer.compare(expected, chain) !== 0 || end.last !== last) {
      throw new Fault('damaged_log', `${origin} does not end with the batch that its record names`);
    }
    // Its unreadable events are in quarantine, with their times.
    const isTold = !wal.quarantine.touches(origin, end.first, end.last);
    if (isTold && (end.lastHlc !== lastHlc || newestMsOf(end) !== lastMs)) {
      throw new Fault('damaged_log', `${origin} does not end at the time its record names`);
    }
  }
  if (batches !== wal.batches) {
    throw new Fault('damaged_log', `the store has ${wal.batches} batches, ${batches} of them in the log`);
  }
  const { shards } = await checkContents(clock, wal, rules);
  return { origins: origins.length, batches, events, shards };
}

function checked<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof DamagedRow) throw error;
    throw new Fault('damaged_log', `the log is damaged at ${where}: ${messageOf(error)}`, { cause: error });
  }
}
