/**
 * Recover: from the disk to the state in memory, before anything is served. Registers come from the log's documents, the
 * ledger from replaying every batch of every origin; state does not depend on how origins interleave, so they are
 * replayed one after another. Every batch's checksum and chain is checked on the way.
 */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import { type Batch, chainHash, decodeBatch, NO_PREDECESSOR } from '../../../shared/protocol/batch.ts';
import { hlcMs } from '../../../shared/protocol/events.ts';
import { type Position, totalOf } from '../../../shared/protocol/position.ts';
import type { CatalogWriter } from '../state/catalog/catalog.ts';
import { countAmong, isKeyedSignal } from '../state/keys/keys.ts';
import type { Ledger } from '../state/ledger/ledger.ts';
import type { TextIndex } from '../state/text/text.ts';
import type { VectorIndex } from '../state/vectors/vectors.ts';
import type { Wal } from '../wal/wal.ts';

const READ_BYTES = 4 * 1024 * 1024;
/** A line of progress at most this often. */
const PROGRESS_MS = 2_000;

export interface RecoverOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly wal: Wal;
  readonly catalog: CatalogWriter;
  readonly ledger: Ledger;
  readonly text: TextIndex;
  readonly vectors: VectorIndex;
}

export interface Recovered {
  readonly applied: Position;
  readonly newestMs: number;
}

/** Throws `Fault('damaged_log')` when a batch on disk is not what it was. */
export function recover({ clock, log, wal, catalog, ledger, text, vectors }: RecoverOptions): Recovered {
  const startMs = clock.monotonicMs();
  catalog.load(wal.itemRegisters(), wal.embeddingRegisters());
  for (const { entity, metadata } of catalog.items()) {
    text.put(entity, metadata);
    const values = catalog.embedding(entity);
    if (values !== undefined) vectors.put(entity, values);
  }
  const total = totalOf(wal.durable);
  let events = 0;
  let newestMs = 0;
  let reportedMs = startMs;
  for (const { origin, last } of wal.origins()) {
    let chain = NO_PREDECESSOR;
    for (let next = 1; next <= last; ) {
      const parts = wal.read(origin, next, READ_BYTES);
      if (parts.length === 0) throw new Fault('damaged_log', `the log lacks ${origin}:${next}`);
      for (const bytes of parts) {
        const batch = decode(bytes, `${origin}:${next}`);
        if (batch.first !== next || Buffer.compare(batch.chain, chain) !== 0) {
          throw new Fault('damaged_log', `the log breaks at ${origin}:${next}`);
        }
        for (const [index, event] of batch.events.entries()) {
          if (isKeyedSignal(event)) {
            const place = { origin, epoch: batch.epoch, sequence: batch.first + index };
            countAmong(ledger, event, place, wal.copies(event.key.id));
          } else if (event.kind === 'signal') ledger.add(event.entity, event.signal, event.weight, event.timeMs);
          newestMs = Math.max(newestMs, hlcMs(event.hlc));
        }
        chain = chainHash(bytes);
        next = batch.last + 1;
        events += batch.events.length;
      }
      if (clock.monotonicMs() - reportedMs > PROGRESS_MS) {
        reportedMs = clock.monotonicMs();
        log.info('replaying the log', { events, of: total });
      }
    }
  }
  if (total > 0)
    log.info('log replayed', { events, items: catalog.size, took_ms: Math.round(clock.monotonicMs() - startMs) });
  return { applied: new Map(wal.durable), newestMs };
}

function decode(bytes: Uint8Array, where: string): Batch {
  try {
    return decodeBatch(bytes);
  } catch (error) {
    throw new Fault('damaged_log', `the log breaks at ${where}: ${messageOf(error)}`, { cause: error });
  }
}
