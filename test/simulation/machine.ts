/**
 * A machine with one process on it: a region with its disk, or a router. The process starts, dies and starts again; the
 * machine keeps its disk and its clock.
 */
import type { Gauge } from 'prom-client';
import { createRegionHost, type RegionHost } from '../../services/region/region-host.ts';
import { createHttpPeerLink } from '../../services/region/repair/http-peer-link.ts';
import type { StreamOffset } from '../../services/region/wal/wal.ts';
import { createHttpRegionLink } from '../../services/router/forward/http-region-link.ts';
import { createRouter, type RouterService } from '../../services/router/router.ts';
import { Fault, messageOf } from '../../shared/errors/errors.ts';
import { BrokenInvariant } from '../../shared/kernel/kernel.ts';
import type { Log, LogFields } from '../../shared/observe/log.ts';
import { createMetrics, type Metrics } from '../../shared/observe/metrics.ts';
import { decodeHeader, splitMessage } from '../../shared/protocol/batch.ts';
import { aliveKey, type Leadership } from '../../shared/protocol/leadership.ts';
import type { MemoryClient } from '../harness/memory-client.ts';
import { type Changes, MemoryStore, type StoreHooks } from '../harness/memory-store.ts';
import { MemoryStoreHome } from '../harness/memory-store-home.ts';
import type { Chance } from './chance.ts';
import { type DeathAt, Life } from './life.ts';
import { Violation } from './violation.ts';
import type { Limits, World } from './world.ts';

/** Between the end of a process and its next start, where nobody says otherwise: whoever watches it starts it again. */
const RESTART_MS = 1_000;
/** An orderly stop that takes longer is a kill. */
const STOP_LIMIT_MS = 15_000;

/** Of a batch in the log: its origin and first sequence. */
export type Place = readonly [origin: string, first: number];

export abstract class Machine {
  readonly name: string;
  /** Its clock against the true one, ms. */
  clockOffsetMs: number;
  life: Life | undefined;
  /** Starts so far. */
  starts = 0;
  /** Kept from starting until then. */
  downUntilMs = 0;
  protected readonly world: World;
  protected readonly chance: Chance;
  protected client: MemoryClient | undefined;
  private readonly readings = new Map<keyof Limits, () => number>();

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
    this.chance = world.chance.fork(name);
    this.clockOffsetMs = Math.round(this.chance.between(-400, 400));
  }

  /** Its connection to the stream's server. */
  get broker(): MemoryClient | undefined {
    return this.client;
  }

  get up(): boolean {
    return this.life?.alive === true;
  }

  wallMs(): number {
    return this.world.wallMs() + this.clockOffsetMs;
  }

  /** Starts the process, unless it runs. */
  start(): void {
    const { world } = this;
    if (this.up) return;
    const leftMs = this.downUntilMs - world.scheduler.nowMs;
    if (leftMs > 0) {
      // It was told to stay away for longer while it was gone.
      world.scheduler.after(leftMs, () => this.start());
      return;
    }
    this.starts++;
    const life = new Life({
      name: this.name,
      scheduler: world.scheduler,
      chance: this.chance.fork(`start ${this.starts}`),
      wallMs: () => this.wallMs(),
      onUncaught: (error) => this.exit(life, error),
      onEnd: () => this.died(),
    });
    this.life = life;
    world.note(this.name, `starts (${this.starts})`);
    this.client = world.broker.connect(this.name);
    this.run(life).catch((error: unknown) => this.exit(life, error));
  }

  /** The metrics of a process; remembers how full its queues are. */
  protected metricsOf(process: 'region' | 'router'): Metrics {
    const metrics = createMetrics({ process, name: this.name, nodeMetrics: false });
    this.readings.clear();
    return {
      ...metrics,
      gauge: (options) => {
        const { name, collect } = options;
        if (name in this.world.limits) {
          this.readings.set(name as keyof Limits, () => {
            let reading = 0;
            const gauge = {
              set(value: number) {
                reading = value;
              },
            };
            collect?.(gauge as Gauge<never>);
            return reading;
          });
        }
        return metrics.gauge(options);
      },
    };
  }

  /** No queue is ever longer than it may be. */
  checkLimits(): void {
    if (!this.up) return;
    const { limits } = this.world;
    for (const [name, read] of this.readings) {
      const reading = read();
      if (reading <= limits[name]) continue;
      this.world.fail(
        new Violation('every queue has a limit', `${this.name}: ${name} is ${reading}, of ${limits[name]}`),
      );
    }
  }

  protected abstract run(life: Life): Promise<void>;
  /** Ends in order what the process does; resolves when it has. */
  protected abstract stopping(): Promise<void>;
  protected abstract stopped(): void;

  /** Kills the process now, or at one of its next effects. */
  kill(backMs: number, at?: DeathAt): void {
    this.downUntilMs = this.world.scheduler.nowMs + backMs;
    if (at === undefined) this.life?.end();
    else this.life?.dieAt(at);
  }

  stop(backMs: number): void {
    const { life, world } = this;
    if (life?.alive !== true) return;
    world.note(this.name, 'is asked to stop');
    const { scheduler } = world;
    const limit = scheduler.after(STOP_LIMIT_MS, () => life.end());
    const end = (): void => {
      limit.cancel();
      // Asked twice, it stops once.
      if (!life.alive) return;
      this.downUntilMs = scheduler.nowMs + backMs;
      life.end();
    };
    this.stopping().then(end, (error: unknown) => this.exit(life, error));
  }

  protected abstract readonly serves: boolean;

  /** The process ends because of this error: right where the world failed it, wrong anywhere else. */
  protected exit(life: Life, error: unknown): void {
    if (!life.alive) return;
    this.world.note(this.name, `exits: ${messageOf(error)}`);
    // A full disk may keep a process from starting; it never ends one that serves.
    const expected =
      error instanceof Fault && (error.code === 'storage_failed' || (error.code === 'storage_full' && !this.serves));
    if (!expected) {
      const kind = error instanceof BrokenInvariant ? 'no broken invariant' : 'no uncaught error';
      this.world.fail(new Violation(kind, `${this.name}: ${error instanceof Error ? error.stack : String(error)}`));
    }
    life.end();
  }

  private died(): void {
    if (this.world.over) return;
    const { world } = this;
    world.note(this.name, 'is gone');
    world.network.unlisten(this.name, this.chance.chance(0.7));
    this.client?.vanish();
    this.client = undefined;
    this.life = undefined;
    this.stopped();
    const backMs = Math.max(RESTART_MS, this.downUntilMs - world.scheduler.nowMs);
    world.scheduler.after(backMs, () => this.start());
  }

  protected log(): Log {
    const { world, name } = this;
    const note = (level: string) => (message: string, fields?: LogFields) => world.logged(name, level, message, fields);
    return { debug: () => {}, info: note('info'), warn: note('warn'), error: note('error') };
  }
}

export class RegionMachine extends Machine {
  region: RegionHost | undefined;
  /** How much of every origin is on its disk. */
  readonly onDisk = new Map<string, number>();
  /** It has answered that it is cut off, and nobody has asked to heal it since. */
  cutOff = false;
  /** Requests to heal it that are not answered yet. */
  heals = 0;
  /** Of all events on its disk. */
  highestHlc = 0;
  /** The epoch of the leadership record on its disk, and since when it is there. */
  leadership = { epoch: 0, sinceMs: 0 };
  /** Since when it answers, virtual ms. */
  servesSinceMs = Number.POSITIVE_INFINITY;
  /** Everything in the stream of this `created` up to there is on its disk. */
  readonly covered = { created: '', sequence: 0 };
  /** Another number, another disk: what the old one had may be gone. */
  disk = 1;
  /** Milliseconds a flush takes at most. */
  private flushesMs = 3;
  /** The most a flush has ever taken. */
  flushLimitMs = 3;
  /** What becomes of commits that were not flushed at the next death. */
  unflushed: 'lost' | 'kept' = 'lost';
  /** Copies of its disk, the newest last. */
  readonly backups: { readonly atMs: number; readonly store: MemoryStore }[] = [];
  private readonly hooks: StoreHooks;
  private full = false;
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

  /** A store that came from a peer is the current one now: nothing of what was here may be missing in it. */
  private installed(home: MemoryStoreHome): void {
    home.store.hooks = this.hooks;
    home.store.full = this.full;
    const before = new Map(this.onDisk);
    this.readDisk();
    for (const [origin, last] of this.onDisk) this.world.noteEver(this.name, origin, last);
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
    if (name === 'offset') world.check(() => world.checkOffset(this, readJson(value) as StreamOffset));
    if (name === 'leadership') this.learned((readJson(value) as Leadership).epoch);
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

  /** Another disk is in the machine: an older copy, or an empty one. The process must be down. */
  replaceDisk(store?: MemoryStore): void {
    this.home = this.homeOf(store?.backup() ?? new MemoryStore(undefined, this.hooks));
    this.disk++;
    this.cutOff = false;
    this.readDisk();
  }

  private readDisk(): void {
    this.onDisk.clear();
    this.highestHlc = 0;
    this.covered.sequence = 0;
    for (const [origin, value] of this.store.flushed('origins')) {
      const { last, lastHlc } = readJson(value) as { last: number; lastHlc: number };
      this.highestHlc = Math.max(this.highestHlc, lastHlc);
      if (last > 0) this.onDisk.set(origin, last);
    }
    const marks = new Map(this.store.flushed('marks'));
    const record = marks.get('leadership');
    this.leadership = {
      epoch: record === undefined ? 0 : (readJson(record) as Leadership).epoch,
      sinceMs: this.world.scheduler.nowMs,
    };
    const offset = marks.get('offset');
    const { world } = this;
    if (offset !== undefined) world.check(() => world.checkOffset(this, readJson(offset) as StreamOffset));
  }

  protected override async run(life: Life): Promise<void> {
    const { world, name } = this;
    const { names, network, topology } = world;
    const client = this.client!;
    const others = topology.regions.filter((region) => region.name !== name);
    const metrics = this.metricsOf('region');
    const openPool = network.poolsOf(life);
    const region = await createRegionHost({
      region: name,
      clock: life.clock,
      random: life.chance.fork('random'),
      log: this.log(),
      metrics,
      home: life.home(this.home),
      stream: life.stream(client.stream, (bytes) => this.publishing(bytes)),
      control: life.control(client.control, () => {
        life.confirmed = true;
      }),
      alive: topology.failover === undefined ? undefined : life.control(client.keys(aliveKey(name))),
      schema: world.schema,
      schemaFile: 'schema.yaml',
      links: others.map((other) =>
        createHttpPeerLink({ region: other.name, url: other.url, clock: life.clock, openPool }),
      ),
      intakeQueueLimit: world.limits.tidal_intake_waiting_events,
      intakeQueueBytes: world.limits.tidal_intake_waiting_bytes,
      logMaxBytes: 1e9,
      ...world.upkeep,
      idempotencyKeysLimit: 1_000_000,
      maxBodyBytes: 2 * 1024 * 1024,
      maxBodiesBytes: 64 * 1024 * 1024,
      maxInFlight: 512,
      onFatal: (error) => this.exit(life, error),
    });
    if (!life.alive) return;
    this.region = region;
    this.servesSinceMs = world.scheduler.nowMs;
    network.listen(name, life, region.app.callback());
    region.start();
    world.note(name, `serves, with ${names.length - 1} peers`);
  }

  private publishing(bytes: Uint8Array): void {
    for (const part of splitMessage(bytes)) {
      const { origin, last } = decodeHeader(part);
      if (last <= (this.onDisk.get(origin) ?? 0)) continue;
      this.world.fail(new Violation('flushed before it is shipped', `${this.name} ships ${origin}:${last}`));
    }
  }

  protected override get serves(): boolean {
    return this.region !== undefined;
  }

  protected override async stopping(): Promise<void> {
    this.world.network.unlisten(this.name, true);
    await this.region?.stop();
  }

  protected override stopped(): void {
    this.region = undefined;
    this.servesSinceMs = Number.POSITIVE_INFINITY;
    this.heals = 0;
    this.home = this.homeOf(this.home.crash(this.unflushed));
    this.unflushed = 'lost';
    this.readDisk();
  }
}

function readJson(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString('utf8'));
}

export class RouterMachine extends Machine {
  router: RouterService | undefined;

  protected override async run(life: Life): Promise<void> {
    const { world, name } = this;
    const { network, topology } = world;
    const client = this.client!;
    const metrics = this.metricsOf('router');
    const openPool = network.poolsOf(life);
    const router = createRouter({
      clock: life.clock,
      random: life.chance.fork('random'),
      log: this.log(),
      metrics,
      control: life.control(client.control),
      failover:
        topology.failover === undefined
          ? undefined
          : { ...topology.failover, keys: (key) => life.control(client.keys(key)) },
      topology,
      links: new Map(
        topology.regions.map((entry) => [entry.name, createHttpRegionLink({ entry, clock: life.clock, openPool })]),
      ),
      maxBodyBytes: 2 * 1024 * 1024,
      maxBodiesBytes: 64 * 1024 * 1024,
      maxInFlight: 512,
      heldWritesLimit: world.limits.tidal_router_held_writes,
      heldWritesMs: 10_000,
    });
    this.router = router;
    network.listen(name, life, router.app.callback());
    router.start();
  }

  protected override get serves(): boolean {
    return this.router !== undefined;
  }

  protected override async stopping(): Promise<void> {
    this.world.network.unlisten(this.name, true);
    this.router?.drain();
    await this.router?.close();
  }

  protected override stopped(): void {
    this.router = undefined;
  }
}
