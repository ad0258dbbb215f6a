/**
 * Fetches a snapshot: decides when and from which peer, and transfers it. See `snapshot.ts`.
 *
 *     waiting ──empty at the start, a peer has events──────────────► fetching ──checked──► handed over: this part is done
 *        ▲     or what an origin lacks is kept by no reachable peer    │
 *        └──────────────────────── no peer could serve it ◄────────────┘   (empty: repair continues by log; else again later)
 *
 * A transfer continues where it ended: after a lost connection, and after a restart of either side while the peer still serves
 * that copy. Before it is passed on, the file is verified (SHA-256), then opened, then all its contents are checked
 * (`check-log.ts`). A copy that fails is removed; its peer is asked for another one after a pause that doubles, the others
 * meanwhile.
 */
import { ConfigError } from '../../../shared/errors/config-error.ts';
import { Fault, messageOf, Refusal } from '../../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { SNAPSHOT_AWAY_MS } from '../../../shared/protocol/deadlines.ts';
import { missing, type Position, sequenceOf, totalOf } from '../../../shared/protocol/position.ts';
import { isAway, type SnapshotOffer } from '../../../shared/region-client/region-client.ts';
import type { SchemaDescription } from '../compatible/compatible.ts';
import { Condition } from '../condition/condition.ts';
import { compareMended, type Mended, mendedOf } from '../mended/mended.ts';
import type { PeerLink, Peers } from '../peers/peers.ts';
import type { IncomingStore, Store } from '../store/store.ts';
import type { Wal } from '../wal/wal.ts';
import { checkRecords } from './check-contents.ts';
import { checkLog } from './check-log.ts';
import { lackOf, obstacleOf, repetitionBeyond, trimmedUpTo } from './merge.ts';
import type { ArrivedSnapshot, Bootstrap, SnapshotProgress } from './snapshot.ts';

const RETRY_MS = 1_000;
const PROGRESS_MS = 2_000;
/** How long an origin must have no progress while no peer keeps its next batch: the stream may still deliver it. */
const TRIMMED_MS = 5_000;
/** Wait after no peer could serve a snapshot. */
const AGAIN_MS = 10_000;
/** Wait before a peer whose copy was refused for its contents is asked again; it doubles each time. */
const REFUSED_MS = 60_000;
const REFUSED_LONGEST_MS = 15 * 60_000;
/** Limit of copies requested from one peer in one attempt, after the former one was deleted or damaged in transit. */
const BEGIN_LIMIT = 5;

export interface BootstrapOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly peers: Peers;
  /** In the topology's order. */
  readonly links: readonly PeerLink[];
  readonly wal: Wal;
  readonly openLog: (store: Store) => Wal;
  readonly incoming: (id: string, bytes: number) => Promise<IncomingStore>;
  /** True if this region started empty, and no snapshot was installed since. */
  readonly startedEmpty: boolean;
  readonly ready: () => boolean;
  /** Monotonic ms before which none is fetched, so that one that could not be installed is not fetched in a loop. */
  readonly notBeforeMs: number;
  /** True while the region is partitioned: nothing is fetched. */
  readonly hindered: () => boolean;
  /** A leader does not adopt a mended state: another region is promoted first. */
  readonly leads: () => boolean;
  /** Throws `ConfigError` if this region's schema may not follow the copy's. */
  readonly requireSchema: (copy: Wal) => void;
  /** Regions of the topology, present and former: a copy may have no other origins. Absent: any. */
  readonly regions?: readonly string[] | undefined;
  /** The schema under which a copy will be used. */
  readonly schema: SchemaDescription;
  /** The highest epoch known here. */
  readonly knownEpoch: () => number;
  /** Called when repair may continue. */
  readonly onReleased: () => void;
  readonly onArrived: (arrived: ArrivedSnapshot) => void;
}

export function createBootstrap(options: BootstrapOptions): Bootstrap {
  return new SnapshotBootstrap(options);
}

interface Reachable {
  readonly link: PeerLink;
  readonly mended: Mended | undefined;
  readonly durable: Position;
}

/** The outcome of fetching from one peer. `interrupted`: by a partition or a stop. */
type Outcome = 'arrived' | 'failed' | 'interrupted';

/** An origin without progress of which these peers have trimmed the next batch. */
interface Trimmed {
  readonly sequence: number;
  readonly sinceMs: number;
  readonly peers: Set<string>;
}

/** A peer whose copy was refused. */
interface RefusedCopy {
  readonly why: string;
  readonly untilMs: number;
  readonly pauseMs: number;
}

class SnapshotBootstrap implements Bootstrap {
  private readonly options: BootstrapOptions;
  private readonly receivedBytes;
  private readonly refusedCopies;
  private readonly wake: Condition;
  private readonly trimmed = new Map<string, Trimmed>();
  /** Why each peer could not serve it, in the newest attempt. */
  private readonly refusals = new Map<string, string>();
  /** By peer. */
  private readonly refused = new Map<string, RefusedCopy>();
  private readonly stopped = new AbortController();
  private empty: boolean;
  private done = false;
  private reportedMs = Number.NEGATIVE_INFINITY;
  private loop: Promise<void> = Promise.resolve();
  progress: SnapshotProgress | undefined;
  schemaBehind: string | undefined;
  /** Why the newest attempt failed. */
  private failed: string | undefined;

  constructor(options: BootstrapOptions) {
    this.options = options;
    this.empty = options.startedEmpty && options.links.length > 0;
    this.wake = new Condition(options.clock);
    const { metrics } = options;
    this.receivedBytes = metrics.counter({
      name: 'tidal_snapshot_received_bytes_total',
      help: 'Bytes of snapshots fetched from peers.',
    });
    this.refusedCopies = metrics.counter({
      name: 'tidal_snapshots_refused_total',
      help: 'Snapshots of peers that were not taken because of what they hold.',
    });
    metrics.gauge({
      name: 'tidal_snapshot_bytes',
      help: 'Bytes that are here of the snapshot being fetched; 0 while none is.',
      read: () => this.progress?.bytes ?? 0,
    });
    metrics.gauge({
      name: 'tidal_snapshot_size_bytes',
      help: 'Size of the snapshot being fetched; 0 while none is.',
      read: () => this.progress?.of ?? 0,
    });
  }

  start(): void {
    this.options.peers.onPolled(() => this.wake.notify());
    this.loop = this.run();
  }

  get obstacle(): string | undefined {
    return this.failed !== undefined && this.wanted() !== undefined ? this.failed : undefined;
  }

  get holdsRepair(): boolean {
    return this.empty && !this.early && !this.options.ready() && this.schemaBehind === undefined;
  }

  trimmedAt(peer: string, origin: string): void {
    const { wal, clock } = this.options;
    const sequence = sequenceOf(wal.durable, origin);
    const known = this.trimmed.get(origin);
    if (known?.sequence === sequence) known.peers.add(peer);
    else this.trimmed.set(origin, { sequence, sinceMs: clock.monotonicMs(), peers: new Set([peer]) });
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    this.wake.notify();
    await this.loop;
  }

  private get early(): boolean {
    return this.options.clock.monotonicMs() < this.options.notBeforeMs;
  }

  private get interrupted(): boolean {
    return this.stopped.signal.aborted || this.options.hindered();
  }

  private async run(): Promise<void> {
    const { clock, log } = this.options;
    while (!this.stopped.signal.aborted && !this.done) {
      await this.wake.until(() => this.stopped.signal.aborted || this.wanted() !== undefined, 60_000);
      const wanted = this.wanted();
      if (wanted === undefined || this.stopped.signal.aborted) continue;
      log.info('snapshot needed', { because: wanted.why });
      this.refusals.clear();
      const outcome = await this.fetch(wanted.from);
      this.progress = undefined;
      this.failed =
        outcome === 'failed' && !this.empty
          ? `${wanted.why}; ${[...this.refusals].map(([peer, why]) => `${peer}: ${why}`).join('; ')}`
          : undefined;
      if (outcome === 'failed') {
        log.warn(
          'no peer can serve a snapshot',
          this.empty ? { instead: 'the peers’ logs' } : { again_in_ms: AGAIN_MS },
        );
        if (this.empty) {
          this.empty = false;
          this.options.onReleased();
        } else await sleep(clock, AGAIN_MS, this.stopped.signal);
      }
    }
  }

  /** Whether, why, and from which peers a snapshot has to be fetched now. */
  private wanted(): { readonly why: string; readonly from: readonly PeerLink[] } | undefined {
    if (this.done || this.early || this.interrupted || this.schemaBehind !== undefined) return undefined;
    const { wal, ready } = this.options;
    const peers = this.reachable();
    if (this.empty) {
      if (ready()) this.empty = false;
      const ahead = peers.filter(({ durable }) => missing(durable, wal.durable) > 0);
      if (this.empty && ahead.length > 0) {
        return { why: 'this region started empty', from: ahead.map(({ link }) => link) };
      }
    }
    const own = mendedOf(wal.mark('mended'));
    const mended = peers.filter((peer) => compareMended(peer.mended, own) > 0);
    if (mended.length > 0 && !this.options.leads()) {
      return { why: 'the state of a peer was mended', from: mended.map(({ link }) => link) };
    }
    const nowMs = this.options.clock.monotonicMs();
    for (const [origin, { sequence, sinceMs, peers: without }] of this.trimmed) {
      const here = sequenceOf(wal.durable, origin);
      const holders = peers.filter(({ durable }) => sequenceOf(durable, origin) > here);
      if (here !== sequence || holders.length === 0) {
        if (here !== sequence) this.trimmed.delete(origin);
        continue;
      }
      if (nowMs - sinceMs < TRIMMED_MS || !holders.every(({ link }) => without.has(link.region))) continue;
      return { why: `no peer keeps ${origin}:${here + 1} any more`, from: holders.map(({ link }) => link) };
    }
    return undefined;
  }

  /**
   * Reachable peers that are not partitioned and whose state is not mended less than this one's: the one that was mended last
   * first, then the one that holds most, then in the topology's order.
   */
  private reachable(): Reachable[] {
    const { peers, links, wal } = this.options;
    const own = mendedOf(wal.mark('mended'));
    return links
      .flatMap((link) => {
        const view = peers.views.get(link.region);
        if (view === undefined || !view.reachable || view.status.partitioned) return [];
        const mended = mendedOf(view.status.mended);
        return compareMended(mended, own) < 0 ? [] : [{ link, mended, durable: view.status.durable }];
      })
      .sort((a, b) => compareMended(b.mended, a.mended) || totalOf(b.durable) - totalOf(a.durable));
  }

  private async fetch(from: readonly PeerLink[]): Promise<Outcome> {
    const tried = new Set<string>();
    // One that answers again meanwhile is asked too, before the attempt has failed.
    const next = (): PeerLink | undefined =>
      [...from, ...(this.wanted()?.from ?? [])].find(({ region }) => !tried.has(region));
    for (let link = next(); link !== undefined; link = next()) {
      const { region } = link;
      tried.add(region);
      const refused = this.refused.get(region);
      if (refused !== undefined && this.options.clock.monotonicMs() < refused.untilMs) {
        this.refusals.set(region, refused.why);
        continue;
      }
      const outcome = await this.fetchFrom(link).catch((error: unknown): Outcome => {
        this.options.log.warn('snapshot fetch failed', { peer: region, error: messageOf(error) });
        this.refusals.set(region, messageOf(error));
        return 'failed';
      });
      if (outcome !== 'failed') return outcome;
      if (this.interrupted) return 'interrupted';
    }
    return 'failed';
  }

  /** Throws `Fault` with the reason why this peer cannot serve it. */
  private async fetchFrom(link: PeerLink): Promise<Outcome> {
    const { clock, wal, log } = this.options;
    for (let begun = 0; begun < BEGIN_LIMIT; begun++) {
      const info = await this.ask(link, () => link.snapshot(trimmedUpTo(wal)));
      if (info === undefined) return 'interrupted';
      const { position } = info;
      const lack = lackOf(wal, position) ?? (await repetitionBeyond(clock, wal, position, info.keysForgottenMs ?? 0));
      if (lack !== undefined) throw new Fault('snapshot_unfit', lack);
      const incoming = await this.options.incoming(info.id, info.bytes);
      log.info('snapshot fetch started', {
        peer: link.region,
        id: info.id,
        bytes: info.bytes,
        from: incoming.received,
      });
      const outcome = await this.transfer(link, info, incoming);
      if (outcome === 'gone') continue;
      if (outcome === 'interrupted') return outcome;
      if (!(await incoming.complete(info.bytes, info.sha256))) {
        log.warn('snapshot checksum mismatch, retrying', { peer: link.region, id: info.id });
        continue;
      }
      return this.handOver({ peer: link.region, info, incoming });
    }
    throw new Fault('snapshot_gone', `its snapshots expired before they were fetched, ${BEGIN_LIMIT} times`);
  }

  private async transfer(
    link: PeerLink,
    info: SnapshotOffer,
    incoming: IncomingStore,
  ): Promise<'whole' | 'gone' | 'interrupted'> {
    while (incoming.received < info.bytes) {
      this.report(link, info, incoming);
      let part: Uint8Array | undefined;
      try {
        part = await this.ask(link, () => link.snapshotPart(info.id, incoming.received));
      } catch (error) {
        if (error instanceof Refusal && error.code === 'snapshot_gone') return 'gone';
        throw error;
      }
      if (part === undefined || this.interrupted) return 'interrupted';
      if (part.length === 0) return 'gone';
      await incoming.append(part);
      this.receivedBytes.inc(part.length);
    }
    this.report(link, info, incoming);
    return 'whole';
  }

  private report(link: PeerLink, info: SnapshotOffer, incoming: IncomingStore): void {
    const { clock, log } = this.options;
    this.progress = { peer: link.region, bytes: incoming.received, of: info.bytes };
    if (clock.monotonicMs() - this.reportedMs < PROGRESS_MS) return;
    this.reportedMs = clock.monotonicMs();
    log.info('snapshot fetch progress', { peer: link.region, bytes: incoming.received, of: info.bytes });
  }

  /**
   * Asks until the peer answers, refuses finally, or was unreachable for {@link SNAPSHOT_AWAY_MS}; undefined if interrupted. A
   * peer that is restarting or overloaded, or still makes its copy, is asked again.
   */
  private async ask<T>(link: PeerLink, question: () => Promise<T>): Promise<T | undefined> {
    const { clock } = this.options;
    let answeredMs = clock.monotonicMs();
    while (!this.interrupted) {
      try {
        return await question();
      } catch (error) {
        if (error instanceof Refusal && error.code === 'not_ready') answeredMs = clock.monotonicMs();
        else if (!isAway(error) && !isOverloaded(error)) throw error;
        if (clock.monotonicMs() - answeredMs >= SNAPSHOT_AWAY_MS) {
          throw new Fault('no_answer', `${link.region} has been away for ${SNAPSHOT_AWAY_MS} ms`, {
            cause: error,
          });
        }
      }
      await sleep(clock, RETRY_MS, this.stopped.signal);
    }
    return undefined;
  }

  private async handOver(arrived: ArrivedSnapshot): Promise<Outcome> {
    const { log, onReleased, onArrived } = this.options;
    let isNeeded = true;
    try {
      isNeeded = await this.check(arrived);
    } catch (error) {
      await arrived.incoming.discard();
      if (error instanceof Fault && error.code.startsWith('storage_')) throw error;
      if (!(error instanceof ConfigError)) throw this.refuse(arrived.peer, error);
      this.schemaBehind = error.message;
      log.error("schema older than the peer's, snapshot not installed", { peer: arrived.peer, error: error.message });
      onReleased();
      return 'interrupted';
    }
    if (this.interrupted) {
      await arrived.incoming.discard();
      return 'interrupted';
    }
    if (!isNeeded) {
      // The stream has delivered meanwhile what the copy has: a switch would only make the region pause.
      await arrived.incoming.discard();
      log.info('snapshot no longer needed', { peer: arrived.peer, id: arrived.info.id });
      this.empty = false;
      onReleased();
      return 'interrupted';
    }
    this.done = true;
    onArrived(arrived);
    return 'arrived';
  }

  /**
   * Throws `ConfigError` if the schema here may not follow the copy's; any other error says why it cannot replace this region's
   * store. False if the copy has nothing that this region lacks.
   */
  private async check({ peer, info, incoming }: ArrivedSnapshot): Promise<boolean> {
    const { clock, log, wal, openLog, requireSchema, regions, schema, knownEpoch } = this.options;
    const { signal } = this.stopped;
    await incoming.renew(signal);
    if (signal.aborted) return true;
    const store = incoming.open();
    try {
      const copy = opened(openLog, store);
      checkRecords(clock, copy, { regions, knownEpoch: knownEpoch() });
      const obstacle = obstacleOf(wal, copy);
      if (obstacle !== undefined) throw new Fault('snapshot_unfit', obstacle);
      requireSchema(copy);
      const checked = await checkLog(clock, copy, { regions, schema, knownEpoch: knownEpoch(), signal });
      if (!signal.aborted) log.info('snapshot fetched', { peer, id: info.id, ...checked });
      const isMended = compareMended(mendedOf(copy.mark('mended')), mendedOf(wal.mark('mended'))) > 0;
      return isMended || missing(copy.durable, wal.durable) > 0;
    } finally {
      await store.close();
    }
  }

  private refuse(peer: string, error: unknown): Fault {
    const { clock } = this.options;
    const why = `its snapshot was refused: ${messageOf(error)}`;
    const before = this.refused.get(peer)?.pauseMs ?? 0;
    const pauseMs = Math.min(REFUSED_LONGEST_MS, Math.max(REFUSED_MS, 2 * before));
    this.refused.set(peer, { why, pauseMs, untilMs: clock.monotonicMs() + pauseMs });
    this.refusedCopies.inc();
    return new Fault('snapshot_refused', why, { cause: error });
  }
}

/** Opening reads origins and marks. */
function opened(openLog: (store: Store) => Wal, store: Store): Wal {
  try {
    return openLog(store);
  } catch (error) {
    throw new Fault('damaged_log', 'an origin or a mark of it cannot be decoded', { cause: error });
  }
}

function isOverloaded(error: unknown): boolean {
  return error instanceof Refusal && error.code === 'overloaded';
}
