/** The registers once the events that wrote them are in quarantine. */

import type { Event } from '../../../shared/protocol/events.ts';
import { Quarantine, type QuarantinedRange } from '../../../shared/protocol/quarantine.ts';
import { decodeBatchUnder } from '../batch/batch.ts';
import { writesEmbedding, writesItem } from '../state/catalog/catalog.ts';
import type { Store } from '../store/store.ts';
import { decodeEmbedding, decodeItem, encodeEmbedding, encodeItem } from './documents.ts';

/** Without a value the row is removed. */
export type ChangedRegister = readonly [table: 'items' | 'embeddings', entity: number, value: Uint8Array | undefined];

/**
 * The registers that events of the range have written last, with the values of a region that receives these events from now on:
 * deletions at the same point in the order, or nothing if the event is unreadable and its entity therefore unknown elsewhere. The
 * former value is lost wherever it was overwritten, so it is restored nowhere.
 *
 * `read`: the log's batches from a sequence on.
 */
export function registersSetAside(
  store: Store,
  { origin, first, last }: QuarantinedRange,
  read: (origin: string, from: number) => readonly Uint8Array[],
): ChangedRegister[] {
  const events = new Map<number, Event>();
  // A batch may have more such events than this range: only the range is considered here.
  const everything = new Quarantine([{ origin, first: 1, last: Number.MAX_SAFE_INTEGER }]);
  for (let next = first; next <= last; ) {
    const [bytes] = read(origin, next);
    if (bytes === undefined) break;
    const batch = decodeBatchUnder(everything, bytes);
    for (const [index, event] of batch.events.entries()) events.set(batch.first + index, event);
    next = batch.last + 1;
  }
  const isIn = (order: { readonly origin: string; readonly sequence: number }): boolean =>
    order.origin === origin && order.sequence >= first && order.sequence <= last;
  const changed: ChangedRegister[] = [];
  for (const { key, value } of store.range('items', {})) {
    const register = decodeItem(value);
    if (!isIn(register.order)) continue;
    const event = events.get(register.order.sequence);
    const isKnown = event !== undefined && event.entity === key && writesItem(event);
    changed.push(['items', key, isKnown ? encodeItem({ ...register, metadata: undefined }) : undefined]);
  }
  for (const { key, value } of store.range('embeddings', {})) {
    const { order } = decodeEmbedding(value);
    if (!isIn(order)) continue;
    const event = events.get(order.sequence);
    const isKnown = event !== undefined && event.entity === key && writesEmbedding(event);
    changed.push(['embeddings', key, isKnown ? encodeEmbedding({ order, values: undefined }) : undefined]);
  }
  return changed;
}
