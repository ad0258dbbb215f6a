/**
 * A machine with one process on it: a region with its disk, or a router. The process starts, dies and starts again; the
 * machine keeps its disk and its clock.
 */
import { createRegionHost, type RegionHost } from '../../services/region/region-host.ts';
import { createHttpPeerLink } from '../../services/region/repair/http-peer-link.ts';
import { inProcessVectors } from '../../services/region/state/vectors/vector-in-process.ts';
import { createHttpRegionLink } from '../../services/router/forward/http-region-link.ts';
import { createRouter, type RouterService } from '../../services/router/router.ts';
import { Fault, messageOf } from '../../shared/errors/errors.ts';
import { BrokenInvariant } from '../../shared/kernel/kernel.ts';
import type { Log, LogFields } from '../../shared/observe/log.ts';
import { createMetrics } from '../../shared/observe/metrics.ts';
import { decodeHeader, splitMessage } from '../../shared/protocol/batch.ts';
import { aliveKey } from '../../shared/protocol/leadership.ts';
import type { MemoryClient } from '../harness/memory-client.ts';
import { type Changes, MemoryStore, type StoreHooks } from '../harness/memory-store.ts';
import { MemoryStoreHome } from '../harness/memory-store-home.ts';
import type { Chance } from './chance.ts';
import { type DeathAt, Life } from './life.ts';
import { Violation } from './violation.ts';
import type { World } from './world.ts';

/** Between the end of a process and its next start, where nobody says otherwise: whoever watches it starts it again. */
const RESTART_MS = 1_000;
/** An orderly stop that takes longer is a kill. */
const STOP_LIMIT_MS = 15_000;

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
    if (this.up || this.world.scheduler.nowMs < this.downUntilMs) return;
    const { world } = this;
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
  /** Another number, another disk: what the old one had may be gone. */
  disk = 1;
  /** Milliseconds a flush takes at most. */
  flushMs = 3;
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
      flush: () => new Promise((resolve) => void world.scheduler.after(flushes.between(0.1, this.flushMs), resolve)),
      onFlushed: (changes) => this.flushed(changes),
    };
    this.home = this.homeOf(new MemoryStore(undefined, this.hooks));
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
    for (const [table, , value] of changes) {
      if (table !== 'batches' || value === undefined) continue;
      const { origin, first, last } = decodeHeader(value);
      const before = this.onDisk.get(origin) ?? 0;
      if (first !== before + 1) {
        this.world.fail(new Violation('no gaps', `${this.name} has ${origin} up to ${before} and flushed ${first}`));
      }
      this.onDisk.set(origin, last);
      this.world.flushed(this, value);
    }
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
    for (const [origin, value] of this.store.flushed('origins')) {
      const { last, lastHlc } = JSON.parse(Buffer.from(value).toString('utf8')) as { last: number; lastHlc: number };
      this.highestHlc = Math.max(this.highestHlc, lastHlc);
      if (last > 0) this.onDisk.set(origin, last);
    }
  }

  protected override async run(life: Life): Promise<void> {
    const { world, name } = this;
    const { names, network, topology } = world;
    const client = this.client!;
    const others = topology.regions.filter((region) => region.name !== name);
    const metrics = createMetrics({ process: 'region', name, nodeMetrics: false });
    const openPool = network.poolsOf(life);
    const region = await createRegionHost({
      region: name,
      clock: life.clock,
      random: life.chance.fork('random'),
      log: this.log(),
      metrics,
      home: life.home(this.home),
      stream: life.stream(client.stream, (bytes) => this.publishing(bytes)),
      control: life.control(client.control),
      alive: topology.failover === undefined ? undefined : life.control(client.keys(aliveKey(name))),
      schema: world.schema,
      schemaFile: 'schema.yaml',
      links: others.map((other) =>
        createHttpPeerLink({ region: other.name, url: other.url, clock: life.clock, openPool }),
      ),
      intakeQueueLimit: 1_000,
      intakeQueueBytes: 16 * 1024 * 1024,
      logMaxBytes: 1e9,
      openVectors: inProcessVectors(),
      ...world.upkeep,
      idempotencyKeysLimit: 1_000_000,
      maxBodyBytes: 2 * 1024 * 1024,
      maxBodiesBytes: 64 * 1024 * 1024,
      maxInFlight: 512,
      onFatal: (error) => this.exit(life, error),
    });
    if (!life.alive) return;
    this.region = region;
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
    this.heals = 0;
    this.home = this.homeOf(this.home.crash(this.unflushed));
    this.unflushed = 'lost';
    this.readDisk();
  }
}

export class RouterMachine extends Machine {
  router: RouterService | undefined;

  protected override async run(life: Life): Promise<void> {
    const { world, name } = this;
    const { network, topology } = world;
    const client = this.client!;
    const metrics = createMetrics({ process: 'router', name, nodeMetrics: false });
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
      heldWritesLimit: 2_000,
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
