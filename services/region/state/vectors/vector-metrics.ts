/** The metrics of the vector index (`docs/metrics.md`). */
import type { Clock } from '../../../../shared/kernel/kernel.ts';
import type { Metrics } from '../../../../shared/observe/metrics.ts';
import type { VectorStats } from './vectors.ts';

export interface VectorMeters {
  /** Records the duration of a search, waiting included. */
  answered(durationMs: number): void;
  /** Called when an index was opened because the former one had died. */
  reopened(): void;
}

export function createVectorMeters(
  metrics: Metrics,
  { clock, stats }: { readonly clock: Pick<Clock, 'nowMs'>; readonly stats: () => VectorStats },
): VectorMeters {
  const seconds = metrics.histogram({
    name: 'tidal_vector_search_duration_seconds',
    help: 'Time from a question to the vector index to its answer, waiting included.',
  });
  const reopened = metrics.counter({
    name: 'tidal_vector_index_reopened_total',
    help: 'Vector indexes opened because the one before was gone.',
  });
  const gauge = (name: string, help: string, value: () => number): void => {
    metrics.gauge({ name, help, collect: (target) => target.set(value()) });
  };
  gauge('tidal_vectors', 'Embeddings of live items in the vector index.', () => stats().live);
  gauge('tidal_vectors_in_graph', 'Of those, in the graph; the others are scanned.', () => stats().graphed);
  gauge(
    'tidal_vectors_deleted_in_graph',
    'Removed, but still in the graph; beyond half of it a new graph is built.',
    () => stats().deleted,
  );
  gauge('tidal_vector_searches_waiting', 'Vector searches waiting for their answer.', () => stats().waiting);
  gauge('tidal_vector_file_age_seconds', 'Time since the graph was written to its file; 0: there is none.', () => {
    const { savedMs } = stats();
    return savedMs === 0 ? 0 : Math.max(0, clock.nowMs() - savedMs) / 1_000;
  });
  return {
    answered: (durationMs) => seconds.observe(durationMs / 1_000),
    reopened: () => reopened.inc(),
  };
}
