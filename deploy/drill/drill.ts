/**
 * A drill as its file states it: the steady state that must hold before and after, a load, the steps, and when it is aborted.
 * `parse-drill.ts` reads it, `run-drill.ts` runs it; docs/drills.md explains it.
 */

/**
 * A request of the load is given up after this long: above the limits of a router, which holds a write for 10 s and waits 10 s for
 * the leader's answer.
 */
export const REQUEST_LIMIT_MS = 25_000;

/** What is measured of a cluster and of the load, by the name it has in files and reports; with its unit. */
export const measures = {
  lag_events: 'events that the region furthest behind lacks of the leader',
  lag_seconds: 'seconds by which the region furthest behind is behind the leader',
  error_rate: 'share of the requests of the load that failed, 0 to 1',
  write_p99_ms: '99th percentile of the time of a write, ms',
  read_p99_ms: '99th percentile of the time of a read, ms',
} as const;

export type Measure = keyof typeof measures;

export const measureNames = Object.keys(measures) as readonly Measure[];

/** What may be bounded of the outcome, beside the steady state. */
export const outcomes = {
  failed_writes: 'writes that were never acknowledged',
  time_to_detect_ms: 'from the first fault until the cluster reports that something is wrong',
  time_to_converge_ms: 'from the end of the last fault until all regions agree',
  worst_write_ms: 'the longest time that a client waited for a write',
} as const;

export type Outcome = keyof typeof outcomes;

/** Both included; absent: unbounded. */
export interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

export interface Load {
  readonly writers: number;
  /** Of all writers together. */
  readonly writesPerSecond: number;
  readonly readers: number;
  readonly readsPerSecond: number;
  /** Kind of the signals that are written. */
  readonly signal: string;
  /** Writes are sent again under their idempotency key until they are acknowledged. */
  readonly keyed: boolean;
}

export const roles = ['leader', 'follower', 'other-follower'] as const;

/** A region by its name, or by its role when the drill begins; `router` and `nats` are processes only. */
export type Named = string;

export const waitConditions = ['leader-changed', 'converged', 'healthy'] as const;
export type WaitCondition = (typeof waitConditions)[number];

export type Step =
  | { readonly do: 'partition'; readonly region: Named; readonly healAfterMs?: number }
  | { readonly do: 'heal'; readonly region: Named; readonly wait: boolean }
  | { readonly do: 'promote'; readonly region: Named; readonly force: boolean }
  /** With `until`: at most this long. */
  | { readonly do: 'wait'; readonly ms: number; readonly until?: WaitCondition }
  | { readonly do: 'verify' }
  /** The process stays away for `ms`, absent: until `start` or the end of the drill. */
  | { readonly do: 'kill' | 'pause'; readonly process: Named; readonly ms?: number }
  | { readonly do: 'restart' | 'start'; readonly process: Named }
  | { readonly do: 'stop-nats'; readonly ms?: number }
  | { readonly do: 'wipe-nats' }
  | { readonly do: 'repeat'; readonly times: number; readonly steps: readonly Step[] };

export const processSteps: readonly string[] = ['kill', 'pause', 'restart', 'start', 'stop-nats', 'wipe-nats'];

export interface Drill {
  readonly title: string;
  readonly why: string;
  /** Regions that the cluster must have at least. */
  readonly regions: number;
  /** The cluster must have automatic failover. */
  readonly automaticFailover: boolean;
  /** Of the whole drill, undoing and counting excluded. */
  readonly limitMs: number;
  /** The span over which the steady state and the abort conditions are measured. */
  readonly observeMs: number;
  /** How long after the last step the steady state may take to hold again. */
  readonly recoverWithinMs: number;
  readonly steady: { readonly bounds: Readonly<Partial<Record<Measure, Bounds>>>; readonly converged: boolean };
  readonly load: Load | undefined;
  readonly steps: readonly Step[];
  readonly abort: Readonly<Partial<Record<Measure, Bounds>>>;
  readonly expect: Readonly<Partial<Record<Outcome, Bounds>>>;
}

/** Longest wait, and most repetitions, of the short form. */
const SHORT_WAIT_MS = 2_000;
const SHORT_REPEATS = 2;

/** The same drill in a few seconds: no plain wait and no observation is longer than 2 s, no repetition more than two. */
export function shortened(drill: Drill): Drill {
  const short = (step: Step): Step => {
    if (step.do === 'wait' && step.until === undefined) return { ...step, ms: Math.min(step.ms, SHORT_WAIT_MS) };
    if (step.do === 'repeat')
      return { ...step, times: Math.min(step.times, SHORT_REPEATS), steps: step.steps.map(short) };
    return step;
  };
  return { ...drill, observeMs: Math.min(drill.observeMs, SHORT_WAIT_MS), steps: drill.steps.map(short) };
}

/** Every step with those of repetitions in place of them. */
export function flattened(steps: readonly Step[]): readonly Exclude<Step, { readonly do: 'repeat' }>[] {
  return steps.flatMap((step) =>
    step.do === 'repeat' ? Array.from({ length: step.times }, () => flattened(step.steps)).flat() : [step],
  );
}

/** Whether it needs the processes of the cluster, not only its HTTP surface. */
export function needsProcesses({ steps }: Drill): boolean {
  return flattened(steps).some((step) => processSteps.includes(step.do));
}
