/** Logs with events that cannot be applied, as a program without checks, or one with a fault of its own, would have left them. */

import { type Batch, batchOf, chainHash, decodeHeader } from '../../../services/region/batch/batch.ts';
import type { Store } from '../../../services/region/store/store.ts';
import { openLog } from '../../../services/region/wal/log.ts';
import { type Event, HLC_PER_MS } from '../../../shared/protocol/events.ts';
import { rawBatch, rawItem, rawSignal } from '../hostile/garbage.ts';

/** Unseen by any check: what the batch holds is what it was said to hold. */
function unchecked(bytes: Uint8Array, events: readonly Event[]): Batch {
  const lastHlc = events.at(-1)!.hlc;
  return batchOf({ header: decodeHeader(bytes), bytes, aheadMs: 0, lastHlc, events });
}

export interface Poisoned {
  /** What a region without the poison has: the events before it. */
  readonly before: readonly Batch[];
  readonly all: readonly Batch[];
  /** Sequences of events that cannot be applied. */
  readonly poison: readonly number[];
}

/**
 * Of an origin: 1 puts entity 7, 2 views it; 3 is metadata that is null for entity 7, 4 views it again; 5 is a weight beyond all
 * limits; 6 and 7 cannot be read at all; 8 views entity 7.
 */
export function poisonedBatches(origin: string, startMs: number): Poisoned {
  const hlc = (n: number): number => startMs * HLC_PER_MS + n;
  const view = (n: number): Event => ({
    kind: 'signal',
    hlc: hlc(n),
    entity: 7,
    signal: 'view',
    weight: 1_000,
    timeMs: startMs,
  });
  const item = (n: number, metadata: unknown): Event => ({
    kind: 'item',
    hlc: hlc(n),
    entity: 7,
    metadata: metadata as never,
  });
  let chain: Uint8Array | undefined;
  let first = 1;
  const batch = (raw: Parameters<typeof rawBatch>[0]['events'], events: readonly Event[], n: number): Batch => {
    const bytes = rawBatch({
      ...{ origin, first, hlc: hlc(n), signals: raw.length > 0 ? ['view'] : [], events: raw },
      ...(chain === undefined ? {} : { chain }),
    });
    chain = chainHash(bytes);
    first += events.length;
    return unchecked(bytes, events);
  };
  const seen = rawSignal(1_000, { entity: 7 });
  const before = [
    batch([rawItem('{"title":"good"}', 7), { ...seen, step: 1 }], [item(1, { title: 'good' }), view(2)], 1),
  ];
  const after = [
    batch([rawItem('null', 7), { ...seen, step: 1 }], [item(3, null), view(4)], 3),
    batch([rawSignal(2 ** 53 - 1, { entity: 8 })], [{ ...view(5), entity: 8, weight: 2 ** 53 - 1 } as Event], 5),
    batch([{ kind: 4, entity: 2n ** 60n }, seen], [{ kind: 'delete', hlc: hlc(6), entity: 9 }, view(7)], 6),
    batch([seen], [view(8)], 8),
  ];
  return { before, all: [...before, ...after], poison: [3, 5, 6] };
}

/** One batch of two item puts, both with metadata that is null. */
export function twiceInOneBatch(origin: string, startMs: number): Batch[] {
  const bytes = rawBatch({ origin, hlc: startMs * HLC_PER_MS, events: [rawItem('null', 1), rawItem('null', 2)] });
  const hlc = startMs * HLC_PER_MS;
  return [
    unchecked(
      bytes,
      [1, 2].map((entity) => ({ kind: 'item', hlc, entity, metadata: null as never })),
    ),
  ];
}

export async function appendUnchecked(store: Store, batches: readonly Batch[]): Promise<void> {
  await openLog({ store }).append({ batches });
}
