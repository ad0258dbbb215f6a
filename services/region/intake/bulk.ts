/** Writes of one request: events of any kind, or a bulk of signals by column. */

import type { EventBody, Metadata, WriteBody } from '../../../shared/protocol/events.ts';
import type { SignalColumns } from '../../../shared/protocol/signal-columns.ts';
import { eventBytes } from '../batch/batch.ts';

export type Bulk = readonly EventBody[] | SignalColumns;
/** The same as it is requested: patches are not merged yet. */
export type RequestedBulk = readonly WriteBody[] | SignalColumns;

/** Size of each by `eventBytes`. */
const SIGNAL_BYTES = 40;

export function isColumns(bulk: readonly unknown[] | SignalColumns): bulk is SignalColumns {
  return 'kinds' in bulk;
}

export function countOf(bulk: readonly unknown[] | SignalColumns): number {
  return isColumns(bulk) ? bulk.count : bulk.length;
}

/** As they will be logged; a patch as if the item had nothing else. */
export function bytesOf(bulk: RequestedBulk): number {
  if (isColumns(bulk)) return bulk.count * SIGNAL_BYTES;
  let bytes = 0;
  for (const body of bulk) bytes += writeBytes(body);
  return bytes;
}

/** Size of one write as it will be logged, bytes; see {@link bytesOf}. */
export function writeBytes(body: WriteBody): number {
  if (body.kind !== 'patch') return eventBytes(body);
  const { entity, changes, key } = body;
  const metadata = changes as Metadata;
  return eventBytes({ kind: 'item', entity, metadata, ...(key === undefined ? {} : { key }) });
}
