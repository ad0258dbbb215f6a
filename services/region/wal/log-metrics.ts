/** What a log shows of itself. */
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { totalOf } from '../../../shared/protocol/position.ts';
import type { Wal } from './wal.ts';

export function registerLogGauges(metrics: Metrics, wal: Wal): void {
  metrics.gauge({
    name: 'tidal_durable_position_events',
    help: 'Events flushed in the log, over all origins.',
    read: () => totalOf(wal.durable),
  });
  metrics.gauge({
    name: 'tidal_stream_offset',
    help: 'Stream sequence up to which everything is applied.',
    read: () => wal.offset?.sequence ?? 0,
  });
  metrics.gauge({
    name: 'tidal_log_bytes',
    help: 'Bytes the batches of the log take on disk.',
    read: () => wal.batchBytes,
  });
  metrics.gauge({ name: 'tidal_idempotency_keys', help: 'Idempotency keys the log knows.', read: () => wal.keys });
  metrics.gauge({
    name: 'tidal_idempotency_keys_bytes',
    help: 'Bytes they take in the store.',
    read: () => wal.keyBytes,
  });
}
