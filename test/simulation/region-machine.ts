/** A region's machine: it sees what reaches its disk, and takes the disk away. */

import { decodeHeader, splitMessage } from '../../services/region/batch/batch.ts';
import { createHttpPeerLink } from '../../services/region/peers/http-peer-link.ts';
import { createRegionHost, type RegionHost } from '../../services/region/region-host.ts';
import type { StoreHome } from '../../services/region/store/store.ts';
import { checkedValue } from '../../services/region/wal/row-checksums.ts';
import type { StreamOffset } from '../../services/region/wal/wal.ts';
import { aliveKey, type Leadership } from '../../shared/leadership/leadership.ts';
import { createMetrics, type Metrics } from '../../shared/observe/metrics.ts';
import type { Position } from '../../shared/protocol/position.ts';
import { LEADERSHIP_KEY } from '../../shared/stream/settings.ts';
import { inProcessRebuild } from '../harness/region/rebuild-in-process.ts';
import { inProcessVectors } from '../harness/region/state/vectors/vector-in-process.ts';
import { type Changes, MemoryStore, type StoreHooks } from '../harness/region/store/memory-store.ts';
import { MemoryStoreHome } from '../harness/region/store/memory-store-home.ts';
import type { MemoryClient } from '../harness/stream/memory-client.ts';
import { FORGED, internalKeys } from './credentials.ts';
import { forever, Life } from './life.ts';
import { Machine } from './machine.ts';
import { Violation } from './violation.ts';
import type { World } from './world.ts';

/** Much longer than a process may be paused without reading whether it still leads. */
const STOOD_STILL_MS = 3_000;
const NEVER_PAUSED = { sinceMs: Number.NEGATIVE_INFINITY, wallMs: 0, epoch: 0 };

/** The default of `TIDAL_HAND_OVER_MS`. */
const HAND_OVER_MS = 6_000;

/** Of a batch in the log: its origin and first sequence. */
export type Place = readonly [origin: string, first: number];

/** What another region had on a disk of its. */
export interface Owed {
  readonly region: RegionMachine;
  readonly disk: number;
  readonly position: Position;
}

interface ProcessOptions {
  readonly life: Life;
  readonly client: MemoryClient;
  readonly metrics: Metrics;
  readonly home: StoreHome;
  readonly onFatal: (error: unknown) => void;
}

export class RegionMachine extends Machine {
  region: RegionHost | undefined;
  /** How much of every origin is on its disk. */
  readonly onDisk = new Map<string, number>();
  /** It has answered that it is partitioned, and was not healed since. */
  partitioned = false;
  /** Requests to heal it that are not answered yet. */
  heals = 0;
  /** Of all events on its disk, by epoch. */
  private readonly highestHlc = new Map<number, number>();
  /** The epoch of the leadership record on its disk, and since when it is stored. */
  leadership = { epoch: 0, sinceMs: 0 };
  /** Its disk has removed records of keys that were used before this time, epoch ms (0: none), and reports it since then. */
  forgotten = { beforeMs: 0, sinceMs: 0 };
  /** Since when it answers, virtual ms. */
  servesSinceMs = Number.POSITIVE_INFINITY;
  /** Everything in the stream of this `created` up to there is on its disk. */
  readonly covered = { created: '', sequence: 0 };
  /**
   * If it started with an empty disk: what every other region had on its disk at that time. Until it reports that it is ready.
   */
  owed: readonly Owed[] | undefined;
  /** Another number means another disk: the contents of the old one may be lost. */
  disk = 1;
  /** Since when it is in the machine; the first one: for ever. */
  diskSinceMs = Number.NEGATIVE_INFINITY;
  /** Milliseconds a flush takes at most. */
  private flushesMs = 3;
  /** The most a flush has ever taken. */
  flushLimitMs = 3;
  /** What becomes of commits that were not flushed at the next death. */
  unflushed: 'lost' | 'kept' = 'lost';
  /** The disk that was taken out of it last. */
  takenOut: MemoryStore | undefined;
  /** Copies of its disk, the newest last. */
  readonly backups: { readonly atMs: number; readonly store: MemoryStore }[] = [];
  private readonly hooks: StoreHooks;
  private full = false;
  /** When its process resumed after a long pause, and the epoch in the control bucket at that time. */
  awake = NEVER_PAUSED;
  /** Two processes ran on its disk at the same time. */
  ranTwice = false;
  /** Of the second process on its disk. */
  second: Life | undefined;
  private home: MemoryStoreHome;

  constructor(world: World, name: string) {
    super(world, name);
    const flushes = this.chance.fork('flushes');
    this.hooks = {
      flush: () => new Promise((resolve) => void world.scheduler.after(flushes.between(0.1, this.flushesMs), resolve)),
      onFlushed: (changes) => this.flushed(changes),
    };
    this.home = this.homeOf(new MemoryStore(undefined, this.hooks));
  }

  set flushMs(flushMs: number) {
    this.flushesMs = flushMs;
    this.flushLimitMs = Math.max(flushMs, this.flushLimitMs);
  }

  /** The disk's current store. */
  get store(): MemoryStore {
    return this.home.store;
  }

  private homeOf(store: MemoryStore | MemoryStoreHome): MemoryStoreHome {
    const home = store instanceof MemoryStore ? new MemoryStoreHome(store) : store;
    const { flush } = this.hooks;
    if (flush !== undefined) home.incomingHooks = { flush };
    home.store.full = this.full;
    home.incomingFull = this.full;
    home.onStep = (step) => {
      if (step === 'after the switch') this.installed(home);
    };
    return home;
  }

  /** A store from a peer is the current one now: it must have everything that was here. */
  private installed(home: MemoryStoreHome): void {
    this.second?.end();
    home.store.hooks = this.hooks;
    home.store.full = this.full;
    const before = new Map(this.onDisk);
    this.readDisk();
    for (const [origin, last] of this.onDisk) this.world.holdings.note(this.name, origin, last);
    this.world.note(this.name, 'has another store, from a peer');
    for (const [origin, sequence] of before) {
      const now = this.onDisk.get(origin) ?? 0;
      if (now >= sequence) continue;
      this.world.fail(
        new Violation('durable never goes back', `${this.name} had ${origin}:${sequence}, its snapshot ends at ${now}`),
      );
    }
  }

  setFull(full: boolean): void {
    this.full = full;
    this.store.full = full;
    this.home.incomingFull = full;
  }

  private flushed(changes: Changes): void {
    const trimmed: Place[] = [];
    for (const [table, key, value] of changes) {
      if (table === 'batches' && value === undefined) trimmed.push(key as Place);
      if (table !== 'batches' || value === undefined) continue;
      const { origin, first, last } = decodeHeader(value);
      const before = this.onDisk.get(origin) ?? 0;
      if (first !== before + 1) {
        this.world.fail(new Violation('no gaps', `${this.name} has ${origin} up to ${before} and flushed ${first}`));
      }
      this.onDisk.set(origin, last);
      this.world.flushed(this, value);
    }
    // What is marked is marked of everything this commit brought.
    for (const [table, key, value] of changes) {
      if (table === 'marks' && value !== undefined) this.marked(String(key), value);
    }
    if (trimmed.length > 0) this.world.trimmed(this, trimmed);
  }

  private marked(name: string, value: Uint8Array): void {
    const { world } = this;
    if (name === 'offset')
      world.check(() => world.holdings.checkOffset(this, readJson('marks', name, value) as StreamOffset));
    if (name === 'leadership') {
      const record = readJson('marks', name, value) as Leadership;
      if (record.nonce.startsWith(FORGED)) {
        const what = `${this.name} follows ${JSON.stringify(record)}`;
        world.fail(new Violation('no region follows a record that no process wrote', what));
      }
      this.learned(record.epoch);
    }
    if (name === 'keys_forgotten')
      this.forgotten = { beforeMs: readJson('marks', name, value) as number, sinceMs: world.scheduler.nowMs };
  }

  private learned(epoch: number): void {
    const before = this.leadership;
    if (epoch < before.epoch) {
      const went = `the record on the disk of ${this.name} went from ${before.epoch} back to ${epoch}`;
      this.world.fail(new Violation('epochs only grow', went));
    }
    if (epoch !== before.epoch) this.leadership = { epoch, sinceMs: this.world.scheduler.nowMs };
  }

  /** Bytes the batches take on its disk. */
  get batchBytes(): number {
    return this.store.flushed('batches').reduce((sum, [, bytes]) => sum + bytes.length, 0);
  }

  /** Where the log on its disk begins, by origin; after its end where all of it was trimmed. */
  get logBegins(): ReadonlyMap<string, number> {
    const begins = new Map([...this.onDisk].map(([origin, last]) => [origin, last + 1]));
    for (const [, value] of this.store.flushed('batches')) {
      const { origin, first } = decodeHeader(value);
      begins.set(origin, Math.min(first, begins.get(origin) ?? first));
    }
    return begins;
  }

  /** What is on the disk when the machine starts for the first time. */
  beginWith(store: MemoryStore): void {
    store.hooks = this.hooks;
    this.home = this.homeOf(store);
    this.readDisk();
    for (const [origin, last] of this.onDisk) this.world.holdings.note(this.name, origin, last);
  }

  /** Replaces the disk: by an older copy, or an empty one. The process must be down. */
  replaceDisk(store?: MemoryStore): void {
    this.home = this.homeOf(store?.backup() ?? new MemoryStore(undefined, this.hooks));
    this.disk++;
    this.owed = undefined;
    this.diskSinceMs = this.world.scheduler.nowMs;
    this.partitioned = false;
    this.readDisk();
  }

  highestHlcOf(epoch: number): number {
    return this.highestHlc.get(epoch) ?? 0;
  }

  noteHlc(epoch: number, hlc: number): void {
    this.highestHlc.set(epoch, Math.max(this.highestHlcOf(epoch), hlc));
  }

  private readDisk(): void {
    this.onDisk.clear();
    this.highestHlc.clear();
    this.covered.sequence = 0;
    for (const [origin, value] of this.store.flushed('origins')) {
      const { last, epoch, lastHlc } = readJson('origins', origin, value) as {
        last: number;
        epoch: number;
        lastHlc: number;
      };
      this.noteHlc(epoch, lastHlc);
      if (last > 0) this.onDisk.set(origin, last);
    }
    const marks = new Map(this.store.flushed('marks'));
    const record = marks.get('leadership');
    this.leadership = {
      epoch: record === undefined ? 0 : (readJson('marks', 'leadership', record) as Leadership).epoch,
      sinceMs: this.world.scheduler.nowMs,
    };
    const forgotten = marks.get('keys_forgotten');
    this.forgotten = {
      beforeMs: forgotten === undefined ? 0 : (readJson('marks', 'keys_forgotten', forgotten) as number),
      sinceMs: this.world.scheduler.nowMs,
    };
    const offset = marks.get('offset');
    const { world } = this;
    if (offset !== undefined)
      world.check(() => world.holdings.checkOffset(this, readJson('marks', 'offset', offset) as StreamOffset));
  }

  protected override async run(life: Life): Promise<void> {
    const { world, name } = this;
    const { names, network } = world;
    const client = this.client!;
    if (this.onDisk.size === 0) {
      const peers = world.regions.filter((region) => region !== this);
      this.owed = peers.map((region) => ({ region, disk: region.disk, position: new Map(region.onDisk) }));
    }
    const region = await this.create({
      ...{ life, client },
      metrics: this.metricsOf('region'),
      home: life.home(this.home),
      onFatal: (error) => this.exit(life, error),
    });
    if (!life.alive) return;
    this.region = region;
    this.servesSinceMs = world.scheduler.nowMs;
    network.listen(name, life, region.app.callback());
    region.start();
    world.note(name, `serves, with ${names.length - 1} peers`);
  }

  private create({ life, client, metrics, home, onFatal }: ProcessOptions): Promise<RegionHost> {
    const { world, name } = this;
    const { network, topology } = world;
    const others = topology.regions.filter((region) => region.name !== name);
    const openPool = network.poolsOf(life);
    return createRegionHost({
      region: name,
      regions: world.names,
      internalKeys,
      clock: life.clock,
      random: life.chance.fork('random'),
      log: this.log(),
      metrics,
      home,
      stream: life.stream(client.stream, (bytes) => this.publishing(bytes)),
      control: life.control(this.keysOf(client)(LEADERSHIP_KEY), () => {
        life.confirmed = true;
      }),
      alive: topology.failover === undefined ? undefined : life.control(this.keysOf(client)(aliveKey(name))),
      schema: world.schema,
      schemaFile: 'schema.yaml',
      links: others.map((other) =>
        createHttpPeerLink({ region: other.name, url: other.url, clock: life.clock, internalKeys, openPool }),
      ),
      intakeQueueLimit: world.limits.tidal_intake_waiting_events,
      intakeQueueBytes: world.limits.tidal_intake_waiting_bytes,
      logMaxBytes: 1e9,
      openVectors: inProcessVectors(),
      openRebuild: () =>
        inProcessRebuild({ fieldNames: world.schema.textFields.map((field) => field.name), leastPages: 1 }),
      ...world.upkeep,
      // So small that most of what is received takes several transactions and turns.
      receiveLimits: { turn: 5, append: 12 },
      idempotencyKeysLimit: 1_000_000,
      clientIdempotencyKeys: 500_000,
      maxBodyBytes: 2 * 1024 * 1024,
      maxBodiesBytes: 64 * 1024 * 1024,
      httpLimits: { inFlight: 512, arrivingBodies: 512, answersBytes: 128 * 1024 * 1024 },
      onFatal,
    });
  }

  /**
   * Starts a second process on this disk while the first one runs, under an unused address. It ends with either of the two.
   */
  startAgain(forMs: number): void {
    const { world, name } = this;
    if (!this.serves || this.second !== undefined) return;
    const client = world.broker.connect(name);
    const store = this.store.again();
    const life: Life = new Life({
      ...{ name, scheduler: world.scheduler, wallMs: () => this.wallMs() },
      chance: this.chance.fork(`second ${world.scheduler.nowMs}`),
      onUncaught: (error) => end(error),
      onEnd: () => {
        client.vanish();
        store.crash();
        this.second = undefined;
      },
    });
    const end = (error: unknown): void => {
      this.exit(life, error);
    };
    this.second = life;
    const home: StoreHome = { open: () => life.store(store), copy: forever, incoming: forever };
    const metrics = createMetrics({ process: 'region', name, nodeMetrics: false });
    this.create({ life, client, metrics, home, onFatal: end }).then((region) => {
      if (!life.alive) return;
      world.note(name, 'runs twice');
      this.ranTwice = true;
      region.start();
    }, end);
    world.scheduler.after(forMs, () => life.end());
  }

  private publishing(bytes: Uint8Array): void {
    for (const part of splitMessage(bytes)) {
      const { origin, last } = decodeHeader(part);
      if (last <= (this.onDisk.get(origin) ?? 0)) continue;
      this.world.fail(new Violation('flushed before it is shipped', `${this.name} ships ${origin}:${last}`));
    }
  }

  protected override thawed(stoodMs: number): void {
    const { world } = this;
    if (stoodMs > STOOD_STILL_MS)
      this.awake = { sinceMs: world.scheduler.nowMs, wallMs: this.wallMs(), epoch: world.epochInBucket };
  }

  /** The newest epoch in the bucket after a loss: no later one can be read there. */
  bucketHas(epoch: number): void {
    this.awake = { ...this.awake, epoch: Math.min(this.awake.epoch, epoch) };
  }

  protected override get serves(): boolean {
    return this.region !== undefined;
  }

  /** As the service does on SIGTERM (`start-region.ts`). */
  protected override async stopping(): Promise<void> {
    await this.region?.stepDown(HAND_OVER_MS, new AbortController().signal);
    this.world.network.unlisten(this.name, true);
    await this.region?.stop();
  }

  protected override stopped(): void {
    this.second?.end();
    this.region = undefined;
    this.servesSinceMs = Number.POSITIVE_INFINITY;
    this.awake = NEVER_PAUSED;
    this.heals = 0;
    this.home = this.homeOf(this.home.crash(this.unflushed));
    this.unflushed = 'lost';
    this.readDisk();
  }
}

/** The JSON of a stored row. */
function readJson(table: 'marks' | 'origins', key: string, row: Uint8Array): unknown {
  return JSON.parse(Buffer.from(checkedValue(table, key, row, true)).toString('utf8'));
}
