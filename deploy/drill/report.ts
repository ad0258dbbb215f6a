/** What a drill has found, as its JSON file has it. `page.ts` shows the same to people. */
import type { Drill, Measure, Outcome } from './drill.ts';
import type { Sample } from './load.ts';
import type { Counted } from './verdict.ts';
import { type Observed, percentile } from './watch.ts';

/** With the exit code of the program. */
export const results = { held: 0, deviated: 1, could_not_run: 2, aborted: 3 } as const;
export type Result = keyof typeof results;

export interface TimelineEvent {
  /** Since the beginning of the drill, ms; so are all times below. */
  readonly at_ms: number;
  readonly text: string;
}

export interface LagPoint {
  readonly at_ms: number;
  /** Events, by region; null: not known. */
  readonly lags: Readonly<Record<string, number | null>>;
}

export interface LatencyPoint {
  readonly at_ms: number;
  readonly write_p99_ms: number | null;
  readonly read_p99_ms: number | null;
  readonly requests: number;
  readonly failed: number;
}

export interface DrillReport {
  readonly title: string;
  readonly why: string;
  readonly id: string;
  /** RFC 3339. */
  readonly started_at: string;
  readonly took_ms: number;
  readonly result: Result;
  /** Why it is not `held`, one sentence each. */
  readonly reasons: readonly string[];
  /** Null: without a load, or not counted. */
  readonly writes: Counted | null;
  readonly outcome: Readonly<Record<Outcome, number | null>>;
  /** The measures before the first step and at the end. */
  readonly before: Readonly<Record<Measure, number | null>> | null;
  readonly after: Readonly<Record<Measure, number | null>> | null;
  /** Of requests of the load, by code. */
  readonly failures: Readonly<Record<string, number>>;
  /** What could not be undone. */
  readonly left: readonly string[];
  readonly events: readonly TimelineEvent[];
  readonly lag: readonly LagPoint[];
  readonly latency: readonly LatencyPoint[];
  readonly drill: Drill;
}

/** Points of a plot, at most. */
const POINTS = 600;

/** Changes of the leader and of the health. */
export function changesOf(observed: readonly Observed[], startMs: number): TimelineEvent[] {
  return observed.flatMap((now, index) => {
    const before = observed[index - 1];
    if (before === undefined) return [];
    const at_ms = Math.round(now.atMs - startMs);
    return [
      ...(now.health === before.health ? [] : [{ at_ms, text: `health: ${now.health}` }]),
      ...(now.leader === before.leader || now.leader === null ? [] : [{ at_ms, text: `leader: ${now.leader}` }]),
    ];
  });
}

export function lagPoints(observed: readonly Observed[], startMs: number): LagPoint[] {
  const step = Math.max(1, Math.ceil(observed.length / POINTS));
  return observed
    .filter((_, index) => index % step === 0)
    .map(({ atMs, lags }) => ({ at_ms: Math.round(atMs - startMs), lags }));
}

export function latencyPoints(samples: readonly Sample[], startMs: number): LatencyPoint[] {
  const endMs = Math.max(startMs, ...samples.slice(-POINTS).map((sample) => sample.endedMs));
  const spanMs = Math.max(500, (endMs - startMs) / POINTS);
  const spans = new Map<number, Sample[]>();
  for (const sample of samples) {
    const span = Math.max(0, Math.floor((sample.endedMs - startMs) / spanMs));
    const found = spans.get(span);
    if (found === undefined) spans.set(span, [sample]);
    else found.push(sample);
  }
  return [...spans]
    .sort(([a], [b]) => a - b)
    .map(([span, inSpan]) => {
      const p99 = (kind: Sample['kind']): number | null =>
        rounded(
          percentile(
            inSpan.filter((sample) => sample.kind === kind).map(({ tookMs }) => tookMs),
            0.99,
          ),
        );
      return {
        at_ms: Math.round((span + 0.5) * spanMs),
        write_p99_ms: p99('write'),
        read_p99_ms: p99('read'),
        requests: inSpan.length,
        failed: inSpan.filter(({ failed }) => failed).length,
      };
    });
}

export function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(4));
}
