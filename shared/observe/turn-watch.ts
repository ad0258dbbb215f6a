/**
 * Measures the turns of the event loop, and what they were spent on.
 *
 *     poll ── mark('feed') ──── mark('write') ──── nextTurn ── poll
 *             │◄── feed ─────►│◄── write ────────►│   the turn is attributed to the longer of them
 *
 * - A turn with a mark is measured from its first mark to its end, exactly, and counts once, for the activity that took most of it.
 * - Everything else is `other`: a heartbeat every 20 ms is late by what held it up. What marked turns took of that is subtracted.
 *   So such a turn is up to 20 ms longer than measured. A process that was stopped or had no processor appears here too.
 * - Garbage collections count by themselves, and in the turn that they interrupted.
 *
 * A mark costs a reading of the clock and an addition; the first one of a turn also a call after the turn.
 */
import type { Clock, Timer } from '../kernel/kernel.ts';
import { type Activity, activities, type EventLoop, type Turns } from '../kernel/turns.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

export const BEAT_MS = 20;
/** Turns that take at least this long are counted, ms. */
export const LONG_TURNS_MS = [20, 100] as const;
/** And from here on logged. The log has one line a minute of each activity. */
const LOGGED_MS = 100;
/** The longest turn is that of the present period and the one before: of the last 30 to 60 s, however often it is scraped. */
const PERIOD_MS = 30_000;

export interface TurnWatchOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly loop: EventLoop;
  readonly log: Log;
  readonly metrics: Metrics;
}

const indexOf = new Map<Activity, number>(activities.map((activity, index) => [activity, index]));
const NONE = -1;

export class TurnWatch implements Turns {
  private readonly options: TurnWatchOptions;
  private readonly counted: { inc(labels: { readonly activity: Activity; readonly over_ms: string }): void };
  private readonly timers: readonly Timer[];
  /** Time of the present turn by activity, ms. */
  private readonly spentMs = new Float64Array(activities.length);
  private activity = NONE;
  private turnMs = 0;
  private markedMs = 0;
  /** When the next heartbeat is due, and what marked turns took after that. */
  private dueMs: number;
  private afterDueMs = 0;
  /** By activity, ms: of the present period and the one before. */
  private longest = new Float64Array(activities.length);
  private longestBefore = new Float64Array(activities.length);
  private periodEndMs: number;

  constructor(options: TurnWatchOptions) {
    this.options = options;
    const { clock, loop, metrics } = options;
    metrics.gauge({
      name: 'tidal_longest_turn_seconds',
      help: 'Longest turn of the event loop in the last 30 to 60 s, by the activity that took most of it.',
      labels: ['activity'],
      collect: (gauge) => {
        for (const [index, activity] of activities.entries()) gauge.set({ activity }, this.longestMs(index) / 1_000);
      },
    });
    const counter = metrics.counter({
      name: 'tidal_long_turns_total',
      help: 'Turns of the event loop that took at least so many milliseconds, by the activity that took most of them.',
      labels: ['activity', 'over_ms'],
    });
    // Series with label values are created at the start, because a rate needs an earlier sample.
    for (const activity of activities) {
      for (const over of LONG_TURNS_MS) counter.inc({ activity, over_ms: String(over) }, 0);
    }
    this.counted = counter;
    const nowMs = clock.monotonicMs();
    this.dueMs = nowMs + BEAT_MS;
    this.periodEndMs = nowMs + PERIOD_MS;
    this.timers = [
      loop.every(BEAT_MS, () => this.beat()),
      loop.onCollection((durationMs) => this.record(activities.indexOf('gc'), durationMs)),
    ];
  }

  mark(activity: Activity): void {
    const nowMs = this.options.clock.monotonicMs();
    if (this.activity === NONE) {
      this.turnMs = nowMs;
      this.options.loop.nextTurn(this.end);
    } else this.spentMs[this.activity]! += nowMs - this.markedMs;
    this.markedMs = nowMs;
    this.activity = indexOf.get(activity)!;
  }

  stop(): void {
    for (const timer of this.timers) timer.cancel();
  }

  private readonly end = (): void => {
    const nowMs = this.options.clock.monotonicMs();
    this.spentMs[this.activity]! += nowMs - this.markedMs;
    let most = this.activity;
    for (let index = 0; index < activities.length; index++)
      if (this.spentMs[index]! > this.spentMs[most]!) most = index;
    this.spentMs.fill(0);
    this.activity = NONE;
    this.afterDueMs += Math.max(0, nowMs - Math.max(this.turnMs, this.dueMs));
    this.record(most, nowMs - this.turnMs);
  };

  private beat(): void {
    const nowMs = this.options.clock.monotonicMs();
    // The present turn is recorded at its end.
    const open = this.activity === NONE ? 0 : Math.max(0, nowMs - Math.max(this.turnMs, this.dueMs));
    this.record(activities.indexOf('other'), nowMs - this.dueMs - this.afterDueMs - open);
    this.afterDueMs = 0;
    this.dueMs = nowMs + BEAT_MS;
    if (nowMs < this.periodEndMs) return;
    this.longestBefore = this.longest;
    this.longest = new Float64Array(activities.length);
    this.periodEndMs = nowMs + PERIOD_MS;
  }

  private longestMs(index: number): number {
    return Math.max(this.longest[index]!, this.longestBefore[index]!);
  }

  private record(index: number, durationMs: number): void {
    if (durationMs > this.longest[index]!) this.longest[index] = durationMs;
    if (durationMs < LONG_TURNS_MS[0]) return;
    const activity = activities[index]!;
    for (const over of LONG_TURNS_MS) if (durationMs >= over) this.counted.inc({ activity, over_ms: String(over) });
    if (durationMs < LOGGED_MS) return;
    this.options.log.warn('long turn of the event loop', { activity, duration_ms: Math.round(durationMs) });
  }
}
