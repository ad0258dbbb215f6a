/** Fetching what peers hold more of. See `repair.ts`. */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import { Condition } from '../../../shared/kernel/condition.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import { type Batch, decodeBatch, splitMessage, UnknownFormat } from '../../../shared/protocol/batch.ts';
import { type Position, parsePosition, sequenceOf } from '../../../shared/protocol/position.ts';
import type { Ingest } from '../receive/receive.ts';
import type { Wal } from '../wal/wal.ts';
import type { PeerLink, Peers, Repair } from './repair.ts';

/**
 * How long an origin may stand still behind a peer before it is fetched. What a healthy stream brings within this time
 * is left to the stream, so that a busy leader is not asked twice for everything.
 */
const PATIENCE_MS = 2_000;

export interface PeerRepairOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly wal: Wal;
  readonly ingest: Ingest;
  readonly peers: Peers;
  readonly links: readonly PeerLink[];
  /** A cut region starts switched off. */
  readonly enabled: boolean;
  /** The store failed: the process must end. */
  readonly onFatal: (error: unknown) => void;
  readonly onRepaired?: (events: number) => void;
  /** Nothing is fetched while a snapshot is awaited that has it all. */
  readonly held?: () => boolean;
  /** The peer holds more of the origin, but not what comes next here any more. */
  readonly onTrimmed?: (peer: string, origin: string) => void;
}

export function createPeerRepair(options: PeerRepairOptions): Repair {
  return new PeerRepair(options);
}

/** Since when an origin has been behind, and where it stood then. */
interface Behind {
  readonly sinceMs: number;
  readonly sequence: number;
}

interface Holder {
  readonly link: PeerLink;
  readonly last: number;
}

class PeerRepair implements Repair {
  private readonly options: PeerRepairOptions;
  private readonly wake: Condition;
  private readonly behind = new Map<string, Behind>();
  private enabled: boolean;
  private stopping = false;
  private urgent = false;
  private polled = false;
  private loop: Promise<void> | undefined;

  constructor(options: PeerRepairOptions) {
    this.options = options;
    this.enabled = options.enabled;
    this.wake = new Condition(options.clock);
  }

  start(): void {
    this.options.peers.onPolled(() => {
      this.polled = true;
      this.wake.notify();
    });
    this.loop = this.run();
  }

  nudge(): void {
    this.urgent = true;
    this.wake.notify();
  }

  setEnabled(enabled: boolean): void {
    this.enabled = enabled;
    this.behind.clear();
    this.wake.notify();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.wake.notify();
    await this.loop;
  }

  private async run(): Promise<void> {
    const { log, held, onTrimmed } = this.options;
    while (!this.stopping) {
      await this.wake.until(() => this.stopping || (this.enabled && (this.urgent || this.polled)), 60_000);
      if (this.stopping) return;
      const urgent = this.urgent;
      this.urgent = false;
      this.polled = false;
      if (!this.enabled || held?.() === true) continue;
      for (const [origin, holders] of this.wanted(urgent)) {
        for (const { link, last } of holders) {
          if (last <= sequenceOf(this.options.wal.durable, origin)) continue;
          try {
            await this.fetch(origin, link);
          } catch (error) {
            if (error instanceof Fault && error.code === 'log_trimmed') onTrimmed?.(link.region, origin);
            log.warn('repair from a peer failed', { origin, peer: link.region, error: messageOf(error) });
          }
        }
      }
    }
  }

  /** Origins reachable peers hold more of, each with those peers, the one that holds most first. */
  private wanted(urgent: boolean): Map<string, readonly Holder[]> {
    const { wal, peers, links, clock } = this.options;
    const ahead = new Map<string, Holder[]>();
    for (const link of links) {
      const view = peers.views.get(link.region);
      if (view === undefined || !view.reachable || view.status.cut) continue;
      const durable: Position = parsePosition(view.status.durable) ?? new Map();
      for (const [origin, last] of durable) {
        if (last <= sequenceOf(wal.durable, origin)) continue;
        const holders = ahead.get(origin) ?? [];
        ahead.set(
          origin,
          [...holders, { link, last }].sort((a, b) => b.last - a.last),
        );
      }
    }
    const now = clock.monotonicMs();
    for (const origin of [...this.behind.keys()]) if (!ahead.has(origin)) this.behind.delete(origin);
    const wanted = new Map<string, readonly Holder[]>();
    for (const [origin, holders] of ahead) {
      const sequence = sequenceOf(wal.durable, origin);
      const since = this.behind.get(origin);
      if (since === undefined || since.sequence !== sequence) this.behind.set(origin, { sinceMs: now, sequence });
      if (urgent || (since !== undefined && since.sequence === sequence && now - since.sinceMs >= PATIENCE_MS)) {
        wanted.set(origin, holders);
      }
    }
    return wanted;
  }

  private async fetch(origin: string, link: PeerLink): Promise<void> {
    const { wal, ingest, log, onFatal, onRepaired } = this.options;
    const start = sequenceOf(wal.durable, origin);
    while (!this.stopping && this.enabled && ingest.stopped === undefined) {
      const before = sequenceOf(wal.durable, origin);
      const bytes = await link.log(origin, before + 1);
      // Cut off or stopped while the peer answered: what it sent is not taken any more.
      if (bytes.length === 0 || this.stopping || !this.enabled) break;
      const { events } = await ingest.take(this.decode(bytes)).catch((error: unknown) => {
        if (!(error instanceof Fault && error.code === 'storage_full')) onFatal(error);
        throw error;
      });
      onRepaired?.(events);
      if (sequenceOf(wal.durable, origin) === before) break;
    }
    const end = sequenceOf(wal.durable, origin);
    if (end > start) log.info('repaired from a peer', { origin, peer: link.region, from: start + 1, to: end });
  }

  private decode(bytes: Uint8Array): Batch[] {
    try {
      return splitMessage(bytes).map(decodeBatch);
    } catch (error) {
      if (error instanceof UnknownFormat) this.options.ingest.stop({ code: 'schema_behind', detail: error.message });
      throw error;
    }
  }
}
