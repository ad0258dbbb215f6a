/** Fetches batches that peers have and this region lacks. See `repair.ts`. */
import { messageOf, Refusal } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { regionOf, sequenceOf } from '../../../shared/protocol/position.ts';
import { type Batch, decodeBatchUnder, splitMessage } from '../batch/batch.ts';
import { DamagedBatch, InvalidBatch, UnknownFormat } from '../batch/reader/reader.ts';
import { Condition } from '../condition/condition.ts';
import type { PeerLink, Peers } from '../peers/peers.ts';
import type { Ingest, Stopped } from '../receive/receive.ts';
import { isStorageFull } from '../storage-fault/storage-fault.ts';
import { TurnShare, type WorkLimits, workLimits, workOf } from '../turn-share/turn-share.ts';
import type { Wal } from '../wal/wal.ts';
import type { AwaitedSnapshots, Repair } from './repair.ts';

/**
 * How long an origin may lag behind a peer without progress before it is fetched. Batches that a healthy stream delivers within
 * this time are left to the stream, so that a busy leader does not send everything twice.
 */
const PATIENCE_MS = 2_000;
/** Answers of one origin in a row; then the next origin has its turn, and new reports are considered. */
const TURN_ANSWERS = 4;
/** Wait before a batch that a peer has trimmed is requested again: it may have another store by then. */
const TRIMMED_AGAIN_MS = 30_000;
/**
 * Wait before a batch that was refused from every peer is requested again: a peer may have been upgraded, or have another disk.
 */
const REFUSED_AGAIN_MS = 10_000;

export interface PeerRepairOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  /** This one. */
  readonly region: string;
  readonly clock: Clock;
  /** Runs the action in the next turn of the event loop. */
  readonly nextTurn: (action: () => void) => void;
  /** Absent: those for real machines. */
  readonly limits?: WorkLimits | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly wal: Wal;
  readonly ingest: Ingest;
  readonly peers: Peers;
  readonly links: readonly PeerLink[];
  /** A partitioned region starts switched off. */
  readonly enabled: boolean;
  /** The store failed: the process must end. */
  readonly onFatal: (error: unknown) => void;
}

export function createPeerRepair(options: PeerRepairOptions): Repair {
  return new PeerRepair(options);
}

/** Since when an origin has been behind, and its sequence then. */
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
  private readonly repaired;
  private snapshots: AwaitedSnapshots | undefined;
  private readonly wake: Condition;
  private readonly share: TurnShare;
  private readonly behind = new Map<string, Behind>();
  /** Origins to be fetched, in order of their turns, with the peers that hold more of them. */
  private readonly turns = new Map<string, readonly Holder[]>();
  /** By origin and peer: the sequence after which the peer had trimmed, and when to ask again. */
  private readonly trimmed = new Map<string, { readonly sequence: number; readonly againMs: number }>();
  /** By origin of which no peer had an acceptable batch: when that was, monotonic ms. */
  private readonly refusedMs = new Map<string, number>();
  private enabled: boolean;
  private stopping = false;
  private urgent = false;
  private polled = false;
  private loop: Promise<void> | undefined;

  constructor(options: PeerRepairOptions) {
    this.options = options;
    this.enabled = options.enabled;
    this.wake = new Condition(options.clock);
    this.share = new TurnShare(options.nextTurn, (options.limits ?? workLimits).turn);
    this.repaired = options.metrics.counter({
      name: 'tidal_repaired_events_total',
      help: 'Events fetched from a peer.',
    });
  }

  deferTo(snapshots: AwaitedSnapshots): void {
    this.snapshots = snapshots;
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
    this.turns.clear();
    this.trimmed.clear();
    this.wake.notify();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.wake.notify();
    await this.loop;
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      const due = (): boolean => this.urgent || this.polled || this.turns.size > 0;
      await this.wake.until(() => this.stopping || (this.enabled && due()), 60_000);
      if (this.stopping) return;
      if (!this.enabled || this.snapshots?.holdsRepair === true) this.turns.clear();
      else this.lookAtReports();
      this.polled = false;
      this.urgent = false;
      for (const [origin, holders] of this.turns) {
        this.turns.delete(origin);
        const next = await this.turn(origin, holders);
        if (next !== undefined) this.turns.set(origin, next);
        break;
      }
    }
  }

  private lookAtReports(): void {
    const { urgent, polled } = this;
    if (!urgent && !polled) return;
    for (const [origin, holders] of this.wanted(urgent)) {
      this.turns.set(origin, holders);
    }
  }

  /** Fetches some of the origin; returns the peers that may have more of it. */
  private async turn(origin: string, holders: readonly Holder[]): Promise<readonly Holder[] | undefined> {
    const { log, wal, clock, ingest } = this.options;
    let doubt: Stopped | undefined;
    for (const { link, last } of holders) {
      const sequence = sequenceOf(wal.durable, origin);
      const name = `${origin} ${link.region}`;
      const trimmed = this.trimmed.get(name);
      const gone = trimmed?.sequence === sequence && clock.monotonicMs() < trimmed.againMs;
      if (last <= sequence || gone) continue;
      this.trimmed.delete(name);
      try {
        // It may have received more since its report: it is asked until it has nothing.
        const outcome = await this.fetch(origin, link);
        if (outcome === 'more') return [{ link, last: Number.MAX_SAFE_INTEGER }];
        if (outcome !== 'nothing') doubt = outcome;
      } catch (error) {
        const isTrimmed = error instanceof Refusal && error.code === 'log_trimmed';
        if (isTrimmed) {
          this.trimmed.set(name, {
            sequence: sequenceOf(wal.durable, origin),
            againMs: clock.monotonicMs() + TRIMMED_AGAIN_MS,
          });
          this.snapshots?.trimmedAt(link.region, origin);
        }
        const fields = { origin, peer: link.region, error: messageOf(error) };
        // Thousands of origins may be trimmed: the snapshot fetch that follows logs one line for all.
        if (isTrimmed) log.debug('repair from peer failed', fields);
        else log.warn('repair from peer failed', fields);
      }
    }
    if (doubt !== undefined) {
      ingest.stop(doubt);
      this.refusedMs.set(origin, clock.monotonicMs());
    }
    return undefined;
  }

  /** Origins of which reachable peers hold more, each with those peers, the one that holds most first. */
  private wanted(urgent: boolean): Map<string, readonly Holder[]> {
    const { wal, peers, links, clock } = this.options;
    const ahead = new Map<string, Holder[]>();
    for (const link of links) {
      const view = peers.views.get(link.region);
      if (view === undefined || !view.reachable || view.status.partitioned) continue;
      for (const [origin, last] of view.status.durable) {
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
    this.review(ahead, now);
    const wanted = new Map<string, readonly Holder[]>();
    for (const [origin, holders] of ahead) {
      if (now - (this.refusedMs.get(origin) ?? Number.NEGATIVE_INFINITY) < REFUSED_AGAIN_MS) continue;
      const sequence = sequenceOf(wal.durable, origin);
      const since = this.behind.get(origin);
      if (since === undefined || since.sequence !== sequence) this.behind.set(origin, { sinceMs: now, sequence });
      if (urgent || (since !== undefined && since.sequence === sequence && now - since.sinceMs >= PATIENCE_MS)) {
        wanted.set(origin, holders);
      }
    }
    return wanted;
  }

  /**
   * An origin stays stopped while a peer holds more of it. If its own region answers and no peer holds more, the refused batch is
   * in no log: it was not published by a region.
   */
  private review(ahead: ReadonlyMap<string, unknown>, now: number): void {
    const { ingest, peers, region } = this.options;
    for (const origin of [...this.refusedMs.keys()]) {
      if (!ingest.stopped.has(origin)) this.refusedMs.delete(origin);
    }
    for (const origin of [...ingest.stopped.keys()]) {
      if (ahead.has(origin)) continue;
      const home = regionOf(origin);
      const isHomeHeard = home === region || peers.views.get(home)?.reachable === true;
      const sinceMs = this.refusedMs.get(origin);
      // Reports from before the refusal do not count.
      if (sinceMs === undefined) this.refusedMs.set(origin, now);
      else if (isHomeHeard && now - sinceMs >= PATIENCE_MS) ingest.release(origin);
    }
  }

  /**
   * Fetches one turn's answers of the origin from this peer; returns whether it may have more, or why its next batch was refused.
   */
  private async fetch(origin: string, link: PeerLink): Promise<'more' | 'nothing' | Stopped> {
    const { wal, ingest, log, onFatal } = this.options;
    const start = sequenceOf(wal.durable, origin);
    let outcome: 'more' | 'nothing' | Stopped = 'nothing';
    let asked = this.ask(link, origin, start + 1);
    for (let answers = 1; answers <= TURN_ANSWERS; answers++) {
      outcome = 'nothing';
      if (this.stopping || !this.enabled) break;
      const before = sequenceOf(wal.durable, origin);
      const bytes = await asked;
      // Partitioned or stopped while the peer answered: its answer is discarded.
      if (bytes.length === 0 || this.stopping || !this.enabled) break;
      const batches = await this.decode(bytes, origin, link.region);
      if (!Array.isArray(batches)) {
        outcome = batches;
        break;
      }
      // The peer reads the next answer while this one is appended and applied.
      if (answers < TURN_ANSWERS) asked = this.ask(link, origin, batches.at(-1)!.last + 1);
      const { events, doubted } = await ingest.take(batches).catch((error: unknown) => {
        if (!isStorageFull(error)) onFatal(error);
        throw error;
      });
      this.repaired.inc(events);
      const reached = sequenceOf(wal.durable, origin);
      outcome = reached > before ? 'more' : (doubted[0] ?? 'nothing');
      // The next answer continues at the end of this one.
      if (reached < batches.at(-1)!.last) break;
    }
    const end = sequenceOf(wal.durable, origin);
    if (end > start) log.info('repaired from peer', { origin, peer: link.region, from: start + 1, to: end });
    return outcome;
  }

  /** The answer may not be needed any more when it fails. */
  private ask(link: PeerLink, origin: string, from: number): Promise<Uint8Array> {
    const answer = link.log(origin, from);
    answer.catch(() => undefined);
    return answer;
  }

  /** The batches of the requested origin, up to the first unreadable one; if that is the first of all, the reason. */
  private async decode(bytes: Uint8Array, origin: string, peer: string): Promise<Batch[] | Stopped> {
    const batches: Batch[] = [];
    try {
      for (const part of splitMessage(bytes)) {
        this.options.turns?.mark('receive');
        const batch = decodeBatchUnder(this.options.wal.quarantine, part);
        if (batch.origin !== origin) throw new InvalidBatch(`a batch of ${batch.origin} in its place`);
        batches.push(batch);
        await this.share.use(workOf(batch));
      }
    } catch (error) {
      const later = error instanceof UnknownFormat;
      if (!later && !(error instanceof DamagedBatch)) throw error;
      if (batches.length > 0) return batches;
      // It may have been damaged in transit, or on that peer's disk alone.
      const isWhole = later || error instanceof InvalidBatch;
      const detail = `${peer} serves of ${origin}: ${error.message}`;
      this.options.ingest.refuse({ origin, reason: later ? 'later_version' : 'damaged', detail });
      if (!isWhole) throw error;
      return { origin, code: later ? 'schema_behind' : 'invalid_event', detail };
    }
    return batches;
  }
}
