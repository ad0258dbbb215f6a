/** What the intake counts and shows of itself. */
import type { Metrics } from '../../../shared/observe/metrics.ts';
import type { Durability } from '../../../shared/protocol/internal.ts';
import type { Intake } from './intake.ts';

const groupSizes = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

export interface IntakeMetrics {
  committed(events: number, durationMs: number): void;
  /** Writes answered as the first under their idempotency key. */
  replayed(writes: number): void;
  keyConflict(): void;
  /** A write, or a bulk, was acknowledged; `stream`: NATS has it too, or another region. */
  acknowledged(durability: Durability): void;
}

export function intakeMetrics(metrics: Metrics, intake: Pick<Intake, 'waiting' | 'waitingBytes'>): IntakeMetrics {
  const events = metrics.histogram({
    name: 'tidal_group_commit_events',
    help: 'Events of one group commit.',
    buckets: groupSizes,
  });
  const seconds = metrics.histogram({
    name: 'tidal_group_commit_duration_seconds',
    help: 'Time of one group commit, flush included.',
  });
  const replays = metrics.counter({
    name: 'tidal_idempotency_replays_total',
    help: 'Writes answered as the first write under their idempotency key was.',
  });
  const conflicts = metrics.counter({
    name: 'tidal_idempotency_conflicts_total',
    help: 'Requests refused because their idempotency key was used for another write.',
  });
  const acknowledgements = metrics.counter({
    name: 'tidal_acknowledgements_total',
    help: 'Writes and bulks that this region acknowledged, by durability: stream or local.',
    labels: ['durability'],
    series: [{ durability: 'stream' }, { durability: 'local' }],
  });
  metrics.gauge({
    name: 'tidal_intake_waiting_events',
    help: 'Events waiting for their group commit.',
    read: () => intake.waiting,
  });
  metrics.gauge({
    name: 'tidal_intake_waiting_bytes',
    help: 'Bytes of those, as they will be logged.',
    read: () => intake.waitingBytes,
  });
  return {
    committed(count, durationMs) {
      events.observe(count);
      seconds.observe(durationMs / 1_000);
    },
    replayed: (writes) => replays.inc(writes),
    keyConflict: () => conflicts.inc(),
    acknowledged: (durability) => acknowledgements.inc({ durability }),
  };
}
