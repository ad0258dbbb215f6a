/** Batches as another region's intake would have made them. */
import type { Batch } from '../../../services/region/batch/batch.ts';
import { chainHash, NO_PREDECESSOR } from '../../../services/region/batch/batch.ts';
import { BatchBuilder } from '../../../services/region/intake/batch-builder.ts';
import { type Event, HLC_PER_MS } from '../../../shared/protocol/events.ts';

export const startMs = 1_750_000_000_000;

/** A view of entity 1, `n` counting its clock values. */
export function viewEvent(n: number, entity = 1): Event {
  return { kind: 'signal', hlc: startMs * HLC_PER_MS + n, entity, signal: 'view', weight: 1_000, timeMs: startMs };
}

export interface ChainOptions {
  readonly origin: string;
  readonly epoch?: number;
  readonly schemaHash?: string;
}

/** The batches of one origin from its first event on; `groups` = the events of each. */
export function chainOf(
  { origin, epoch = 1, schemaHash = '0123456789abcdef' }: ChainOptions,
  groups: readonly (readonly Event[])[],
): Batch[] {
  let chain = NO_PREDECESSOR;
  let first = 1;
  return groups.map((events) => {
    const builder = new BatchBuilder();
    for (const event of events) if (!builder.add(event)) throw new Error('a test batch is too large');
    const batch = builder.build({ origin, epoch, first, schemaHash, chain });
    chain = chainHash(batch.bytes);
    first = batch.last + 1;
    return batch;
  });
}

/** `count` batches of `size` views each. */
export function viewChain(origin: string, count: number, size = 5, epoch = 1): Batch[] {
  const groups = Array.from({ length: count }, (_, group) =>
    Array.from({ length: size }, (_, index) => viewEvent(group * size + index + 1)),
  );
  return chainOf({ origin, epoch }, groups);
}

export function bytesOf(batches: readonly Batch[]): Uint8Array {
  return Buffer.concat(batches.map(({ bytes }) => bytes));
}
