/** Writes of one request: events of any kind, or a bulk of signals by column. */

import type { EventBody } from '../../../shared/protocol/events.ts';
import type { SignalColumns } from '../../../shared/protocol/signal-columns.ts';
import { eventBytes } from '../batch/batch.ts';

export type Bulk = readonly EventBody[] | SignalColumns;

/** Size of each by `eventBytes`. */
const SIGNAL_BYTES = 40;

export function isColumns(bulk: Bulk): bulk is SignalColumns {
  return 'kinds' in bulk;
}

export function countOf(bulk: Bulk): number {
  return isColumns(bulk) ? bulk.count : bulk.length;
}

/** As they will be logged. */
export function bytesOf(bulk: Bulk): number {
  if (isColumns(bulk)) return bulk.count * SIGNAL_BYTES;
  let bytes = 0;
  for (const body of bulk) bytes += eventBytes(body);
  return bytes;
}
