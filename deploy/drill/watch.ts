/**
 * Observes the cluster while a drill runs: polls status and health, and measures the span that has just passed. What is polled
 * here is what the report draws.
 */
import type { ClusterHealth, ClusterStatus } from '../../services/router/cluster/cluster.ts';
import { messageOf } from '../../shared/errors/errors.ts';
import { type Clock, within } from '../../shared/kernel/kernel.ts';
import { type Repetition, repeat } from '../../shared/kernel/repeat.ts';
import { type Bounds, type Measure, measureNames } from './drill.ts';
import type { LoadRun } from './load.ts';
import type { Surface } from './surface.ts';

const POLL_MS = 250;
/** A router that answers later is treated as one that does not answer. */
const ANSWER_LIMIT_MS = 5_000;

/** One poll; null: not known. */
export interface Observed {
  /** Monotonic, ms. */
  readonly atMs: number;
  readonly leader: string | null;
  readonly health: ClusterHealth['status'] | 'no answer';
  readonly lag_events: number | null;
  readonly lag_seconds: number | null;
  /** By region. */
  readonly lags: Readonly<Record<string, number | null>>;
  /** Every region answers, and none is partitioned. */
  readonly together: boolean;
}

export type Measured = Readonly<Record<Measure, number | null>>;

export interface WatchOptions {
  readonly surface: Pick<Surface, 'status' | 'health'>;
  readonly clock: Clock;
}

export class Watch {
  readonly observed: Observed[] = [];
  private readonly options: WatchOptions;
  private loop: Repetition | undefined;

  constructor(options: WatchOptions) {
    this.options = options;
  }

  start(): void {
    this.loop ??= repeat({ clock: this.options.clock, pauseMs: POLL_MS, action: async () => void (await this.poll()) });
  }

  async stop(): Promise<void> {
    await this.loop?.stop();
  }

  get last(): Observed | undefined {
    return this.observed.at(-1);
  }

  async poll(): Promise<Observed> {
    const { surface, clock } = this.options;
    const both = Promise.all([surface.status(), surface.health()]);
    const answered = await within(clock, ANSWER_LIMIT_MS, both, 'no answer' as const).catch((error: unknown) =>
      messageOf(error),
    );
    const atMs = clock.monotonicMs();
    const observed = typeof answered === 'string' ? unanswered(atMs) : observedOf(atMs, ...answered);
    this.observed.push(observed);
    return observed;
  }

  /** Of the last `spanMs`. A request that still waits counts with the time it has waited. */
  measure(spanMs: number, load: LoadRun | undefined): Measured {
    const fromMs = this.options.clock.monotonicMs() - spanMs;
    // Both are in order of time.
    const polls = this.observed.slice(this.observed.findLastIndex(({ atMs }) => atMs < fromMs) + 1);
    const samples = load?.samples.slice(load.samples.findLastIndex(({ endedMs }) => endedMs < fromMs) + 1) ?? [];
    const times = (kind: 'write' | 'read'): readonly number[] => [
      ...samples.filter((sample) => sample.kind === kind).map(({ tookMs }) => tookMs),
      ...(load?.waits(kind) ?? []),
    ];
    const highest = (of: (observed: Observed) => number | null): number | null => {
      const known = polls.map(of).filter((value) => value !== null);
      return known.length === 0 ? null : Math.max(...known);
    };
    return {
      lag_events: highest(({ lag_events }) => lag_events),
      lag_seconds: highest(({ lag_seconds }) => lag_seconds),
      error_rate: samples.length === 0 ? null : samples.filter(({ failed }) => failed).length / samples.length,
      write_p99_ms: percentile(times('write'), 0.99),
      read_p99_ms: percentile(times('read'), 0.99),
    };
  }
}

/** Null for no values. */
export function percentile(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;
}

/** One sentence for each bound that does not hold; a value that is not known holds no bound if `known` is demanded. */
export function breaches(
  bounds: Readonly<Partial<Record<Measure, Bounds>>>,
  measured: Measured,
  { known }: { readonly known: boolean },
): string[] {
  return measureNames.flatMap((name) => {
    const bound = bounds[name];
    return bound === undefined ? [] : (breachOf(name, bound, measured[name], known) ?? []);
  });
}

/** Undefined if the bound holds. */
export function breachOf(name: string, { min, max }: Bounds, value: number | null, known = true): string | undefined {
  if (value === null) return known ? `${name} is not known` : undefined;
  const shown = Number(value.toPrecision(4));
  if (max !== undefined && value > max) return `${name} is ${shown}, at most ${max} is accepted`;
  if (min !== undefined && value < min) return `${name} is ${shown}, at least ${min} is accepted`;
  return undefined;
}

function unanswered(atMs: number): Observed {
  const unknown = { lag_events: null, lag_seconds: null, lags: {} };
  return { atMs, leader: null, health: 'no answer', ...unknown, together: false };
}

function observedOf(atMs: number, { leader, regions }: ClusterStatus, { status }: ClusterHealth): Observed {
  const highest = (values: readonly (number | null)[]): number | null =>
    values.length === 0 || values.includes(null) ? null : Math.max(...(values as number[]));
  return {
    atMs,
    leader,
    health: status,
    lag_events: highest(regions.map(({ lag_events }) => lag_events)),
    lag_seconds: highest(regions.map(({ lag_seconds }) => lag_seconds)),
    lags: Object.fromEntries(regions.map(({ name, lag_events }) => [name, lag_events])),
    together: regions.every(({ reachable, partitioned }) => reachable && partitioned === false),
  };
}
