/**
 * Polls the regions' status every second and on demand, and keeps the last one of each: an unreachable region is shown with its
 * last known numbers. A status that fails validation (`reported-status.ts`) counts as no answer.
 */
import type { Clock } from '../kernel/kernel.ts';
import { type Repetition, repeat } from '../kernel/repeat.ts';
import { POLL_MS } from '../protocol/deadlines.ts';
import type { RegionClient } from './region-client.ts';
import type { ReportedStatus } from './reported-status.ts';

/** What is known of a region: its last answer, and when it was received. */
export interface RegionView {
  readonly status: ReportedStatus;
  /** Monotonic ms of the answer. */
  readonly atMs: number;
  /** The region's clock minus this one's when it answered, ms; right within the time of one exchange. */
  readonly clockOffsetMs: number;
  /** Whether the newest request was answered. */
  readonly reachable: boolean;
}

export interface StatusPollerOptions {
  readonly clients: readonly Pick<RegionClient, 'region' | 'status'>[];
  readonly clock: Clock;
  /**
   * `rounds`: all are asked together, and again a second after the last of them has answered or failed, for callers that compare
   * all of them. `apart`: a region that does not answer does not delay requests to others.
   */
  readonly pace: 'rounds' | 'apart';
  /** Called after every answer; `before` is the former state. */
  readonly onAnswer?: (view: RegionView, before: RegionView | undefined) => void;
  /** Called after every request without an answer. */
  readonly onFailure?: (region: string, error: unknown, before: RegionView | undefined) => void;
}

export class StatusPoller {
  private readonly options: StatusPollerOptions;
  private readonly known = new Map<string, RegionView>();
  private readonly listeners: (() => void)[] = [];
  private loops: readonly Repetition[] = [];
  private polling: Promise<void> | undefined;
  private stopping = false;
  /** True once every region was asked since the start, whether it answered or not. */
  asked = false;

  constructor(options: StatusPollerOptions) {
    this.options = options;
  }

  /** By region; one that never answered is absent. */
  get views(): ReadonlyMap<string, RegionView> {
    return this.known;
  }

  /** Number of polled regions. */
  get expected(): number {
    return this.options.clients.length;
  }

  /** Called after every round. */
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

  /** Polls all regions now; resolves when each has answered or failed. */
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

  /** Polls the region now. Undefined if it did not answer; the last known status stays, marked unreachable. */
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
