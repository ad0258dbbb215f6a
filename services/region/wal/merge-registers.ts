/** What batches make of the registers of the entities they write to. */
import { acceptedMs, compareOrder, type PlacedEvent } from '../../../shared/protocol/events.ts';
import type { Batch } from '../batch/batch.ts';
import { mergeEmbedding, mergeItem, writesEmbedding, writesItem } from '../state/catalog/catalog.ts';
import type { StoreTransaction } from '../store/store.ts';
import { decodeEmbedding, decodeItem, encodeEmbedding, encodeItem } from './documents.ts';

/** Merges the registers a batch touches. Signals have no registers: the ledger is rebuilt from the log. */
export function mergeRegisters(registers: Pick<StoreTransaction, 'get' | 'put'>, batch: Batch): void {
  if (batch.signals !== undefined) return;
  for (const [index, event] of batch.events.entries()) {
    if (event.kind === 'signal' || event.kind === 'retraction') continue;
    const order = { epoch: batch.epoch, hlc: event.hlc, origin: batch.origin, sequence: batch.first + index };
    const placed: PlacedEvent = { event, order };
    if (writesItem(event)) {
      const present = registers.get('items', event.entity);
      const merged = mergeItem(present && decodeItem(present), placed, compareOrder, acceptedMs(event));
      registers.put('items', event.entity, encodeItem(merged));
    }
    if (writesEmbedding(event)) {
      const present = registers.get('embeddings', event.entity);
      const merged = mergeEmbedding(present && decodeEmbedding(present), placed, compareOrder);
      registers.put('embeddings', event.entity, encodeEmbedding(merged));
    }
  }
}
