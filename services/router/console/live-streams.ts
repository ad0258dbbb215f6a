/** Samples the cluster, and sends every sample to the clients that read the stream. */
import { Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { type Repetition, repeat } from '../../../shared/kernel/repeat.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import type { ClusterReports } from '../cluster/cluster.ts';
import type { DrillLease } from '../drills/drills.ts';
import type { Submission, WriteForwarding } from '../forward/forward.ts';
import type { Journal } from '../journal/journal.ts';
import { type ClusterLive, type Live, type LiveClient, type LiveNow, MISSED_LIMIT, SAMPLE_MS } from './console.ts';
import { Past } from './past.ts';

export interface LiveStreamsOptions {
  readonly reports: ClusterReports;
  readonly drillLease: Pick<DrillLease, 'current'>;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Streams open at one time. */
  readonly limit: number;
}

export class LiveStreams implements Live {
  private readonly options: LiveStreamsOptions;
  private readonly past = new Past();
  /** With the events that each has missed since it last took one. */
  private readonly clients = new Map<LiveClient, number>();
  private readonly dropped;
  private loop: Repetition | undefined;
  private isLeaving = false;
  private writes = 0;
  private reads = 0;
  private countedMs: number;
  private writesPerSecond = 0;
  private readsPerSecond = 0;

  constructor(options: LiveStreamsOptions) {
    this.options = options;
    const { clock, metrics } = options;
    this.countedMs = clock.monotonicMs();
    metrics.gauge({
      name: 'tidal_router_live_streams',
      help: 'Streams of GET /cluster/live that are open.',
      read: () => this.clients.size,
    });
    this.dropped = metrics.counter({
      name: 'tidal_router_live_streams_dropped_total',
      help: 'Streams of GET /cluster/live that ended because their client did not read.',
    });
  }

  start(): void {
    this.loop ??= repeat({ clock: this.options.clock, pauseMs: SAMPLE_MS, action: () => this.sample() });
  }

  /** Ends every stream, so that its client asks again, here or at another router; refuses new ones. */
  leave(): void {
    this.isLeaving = true;
    for (const client of this.clients.keys()) client.end();
    this.clients.clear();
  }

  async stop(): Promise<void> {
    this.leave();
    await this.loop?.stop();
  }

  /** The same, with its acknowledged writes counted. */
  counting(forwarding: WriteForwarding): WriteForwarding {
    return {
      submit: async (submission: Submission) => {
        const accepted = await forwarding.submit(submission);
        this.writes += submission.signals?.count ?? submission.writes.length;
        return accepted;
      },
    };
  }

  countRead(): void {
    this.reads += 1;
  }

  async read(): Promise<ClusterLive> {
    const now = await this.state();
    return { past: this.past.columns, now };
  }

  open(client: LiveClient): void {
    const { limit } = this.options;
    if (this.isLeaving) throw new Refusal('shutting_down', 'this router is about to stop');
    if (this.clients.size >= limit) {
      throw new Refusal('overloaded', `${limit} streams are already open`, {
        hint: 'close a console that is not needed; TIDAL_MAX_LIVE_STREAMS is the limit of this router',
        retryAfterSeconds: 5,
      });
    }
    this.clients.set(client, 0);
    client.send(eventOf('past', this.past.columns));
    void this.state().then((now) => {
      if (this.clients.has(client)) client.send(eventOf('now', now));
    });
  }

  close(client: LiveClient): void {
    this.clients.delete(client);
  }

  private async sample(): Promise<void> {
    this.count();
    const { writesPerSecond, readsPerSecond } = this;
    if (this.clients.size === 0) {
      const { status } = await this.options.reports.both();
      this.past.add({ at: this.at(), writesPerSecond, readsPerSecond, regions: status.regions });
      return;
    }
    const now = await this.state();
    this.past.add({ at: now.at, writesPerSecond, readsPerSecond, regions: now.status.regions });
    const event = eventOf('now', now);
    for (const [client, missed] of this.clients) this.pass(client, missed, event);
  }

  private pass(client: LiveClient, missed: number, event: string): void {
    if (!client.mayRead()) {
      this.clients.delete(client);
      client.end();
    } else if (!client.isBehind) {
      this.clients.set(client, 0);
      client.send(event);
    } else if (missed + 1 < MISSED_LIMIT) this.clients.set(client, missed + 1);
    else {
      this.clients.delete(client);
      this.dropped.inc();
      client.drop();
    }
  }

  /** Rates since the last call. */
  private count(): void {
    const nowMs = this.options.clock.monotonicMs();
    const seconds = (nowMs - this.countedMs) / 1_000;
    if (seconds > 0) {
      this.writesPerSecond = rounded(this.writes / seconds);
      this.readsPerSecond = rounded(this.reads / seconds);
    }
    this.writes = 0;
    this.reads = 0;
    this.countedMs = nowMs;
  }

  private async state(): Promise<LiveNow> {
    const { reports, drillLease, journal } = this.options;
    const [{ status, health }, drill, { events }] = await Promise.all([
      reports.both(),
      drillLease.current(),
      journal.list({ limit: 1, after: 0 }),
    ]);
    return {
      at: this.at(),
      status: drill === undefined ? status : { ...status, drill },
      health,
      writes_per_second: this.writesPerSecond,
      reads_per_second: this.readsPerSecond,
      newest_event: events[0]?.id ?? 0,
    };
  }

  private at(): string {
    return new Date(this.options.clock.nowMs()).toISOString();
  }
}

/** To a tenth. */
function rounded(rate: number): number {
  return Math.round(rate * 10) / 10;
}

/** As the event stream format of the HTML standard has it; JSON has no line breaks. */
function eventOf(name: 'past' | 'now', data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
