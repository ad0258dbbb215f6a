/**
 * Asks regions for their status every second and at need, and remembers the last one of each: an unreachable region is shown
 * with its last known numbers. A status that is refused where it is read (`reported-status.ts`) is not one: the region has not
 * answered.
 */
import type { Clock } from '../kernel/kernel.ts';
import { type Repetition, repeat } from '../kernel/repeat.ts';
import { POLL_MS } from '../protocol/deadlines.ts';
import type { RegionClient } from './region-client.ts';
import type { ReportedStatus } from './reported-status.ts';

/** What is known of a region: its last answer, and when it came. */
export interface RegionView {
  readonly status: ReportedStatus;
  /** Monotonic ms of the answer. */
  readonly atMs: number;
  /** The region's clock minus this one's when it answered, ms; right within the time of one exchange. */
  readonly clockOffsetMs: number;
  /** Whether the newest question was answered. */
  readonly reachable: boolean;
}

export interface StatusPollerOptions {
  readonly clients: readonly Pick<RegionClient, 'region' | 'status'>[];
  readonly clock: Clock;
  /**
   * `rounds`: all are asked together, and again a second after the last of them has answered or failed, for callers that compare
   * all of them. `apart`: a region that does not answer delays no question to another one.
   */
  readonly pace: 'rounds' | 'apart';
  /** Runs after every answer; `before` is what was known until then. */
  readonly onAnswer?: (view: RegionView, before: RegionView | undefined) => void;
  /** Runs after every question without an answer. */
  readonly onFailure?: (region: string, error: unknown, before: RegionView | undefined) => void;
}

export class StatusPoller {
  private readonly options: StatusPollerOptions;
  private readonly known = new Map<string, RegionView>();
  private readonly listeners: (() => void)[] = [];
  private loops: readonly Repetition[] = [];
  private polling: Promise<void> | undefined;
  private stopping = false;
  /** Every region was asked once since the start, and answered or did not. */
  asked = false;

  constructor(options: StatusPollerOptions) {
    this.options = options;
  }

  /** By region; one that never answered is absent. */
  get views(): ReadonlyMap<string, RegionView> {
    return this.known;
  }

  /** Number of regions that are asked. */
  get expected(): number {
    return this.options.clients.length;
  }

  /** Runs after every round. */
  onPolled(listener: () => void): void {
    this.listeners.push(listener);
  }

  start(): void {
    const { clients, clock, pace } = this.options;
    if (this.loops.length > 0) return;
    const actions =
      pace === 'rounds'
        ? [() => this.poll()]
        : clients.map(({ region }) => async () => {
            await this.ask(region);
          });
    this.loops = actions.map((action) => repeat({ clock, pauseMs: POLL_MS, action }));
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.loops.map((loop) => loop.stop()));
  }

  /** Asks all regions now; resolves when each answered or failed. */
  poll(): Promise<void> {
    this.polling ??= this.pollAll().finally(() => {
      this.polling = undefined;
    });
    return this.polling;
  }

  private async pollAll(): Promise<void> {
    await Promise.all(this.options.clients.map(({ region }) => this.ask(region)));
    if (this.stopping) return;
    this.asked = true;
    for (const listener of this.listeners) listener();
  }

  /** Asks the region now. Undefined: it did not answer; what was known stays, marked unreachable. */
  async ask(region: string): Promise<RegionView | undefined> {
    const { clients, clock, onAnswer, onFailure } = this.options;
    const client = clients.find((each) => each.region === region);
    if (client === undefined) return undefined;
    let status: ReportedStatus;
    try {
      status = await client.status();
    } catch (error) {
      const before = this.known.get(region);
      if (before !== undefined) this.known.set(region, { ...before, reachable: false });
      onFailure?.(region, error, before);
      return undefined;
    }
    const before = this.known.get(region);
    const clockOffsetMs = status.clockMs - clock.nowMs();
    const view: RegionView = { status, atMs: clock.monotonicMs(), clockOffsetMs, reachable: true };
    this.known.set(region, view);
    onAnswer?.(view, before);
    return view;
  }
}
