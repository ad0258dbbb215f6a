/**
 * The production routers over the write paths of three regions (`core-region.ts`), on one broker in memory and one clock of the
 * test's. Bodies go through JSON between them, as on the wire. A router can be stopped for good at any point, a region's disk
 * removed, a wire broken.
 */

import { drain } from '../../../services/region/receive/drain.ts';
import { setAside } from '../../../services/region/recover/unappliable.ts';
import type { Submission } from '../../../services/router/forward/forward.ts';
import type { RegionLink } from '../../../services/router/links/links.ts';
import { createRouter, type RouterService } from '../../../services/router/router.ts';
import { Fault } from '../../../shared/errors/errors.ts';
import type { Timer } from '../../../shared/kernel/kernel.ts';
import { JOURNAL_KEY, type Leadership } from '../../../shared/leadership/leadership.ts';
import { createMetrics } from '../../../shared/observe/metrics.ts';
import type { EventBody } from '../../../shared/protocol/events.ts';
import { withKeys } from '../../../shared/protocol/idempotency.ts';
import type { Durability, RegionStatus, WriteAccepted } from '../../../shared/protocol/internal.ts';
import { formatPosition } from '../../../shared/protocol/position.ts';
import { fromWire, toWire, type WireWrite } from '../../../shared/protocol/writes.ts';
import { readAwaited, readDigestCount } from '../../../shared/region-client/read-answers.ts';
import { type ReportedStatus, readPosition, readStatus } from '../../../shared/region-client/reported-status.ts';
import type { Control } from '../../../shared/stream/stream.ts';
import { ManualClock } from '../kernel/manual-clock.ts';
import { seededRandom } from '../kernel/seeded-random.ts';
import { silentLog } from '../observe/silent-log.ts';
import { names, topology } from '../router/memory-cluster.ts';
import type { MemoryClient } from '../stream/memory-client.ts';
import { MemoryControl } from '../stream/memory-control.ts';
import { MemoryBroker } from '../stream/memory-stream.ts';
import { CoreRegion, type CoreRegionOptions, testSchema } from './core-region.ts';
import type { MemoryStore } from './store/memory-store.ts';

/** How soon a connection to a dead process breaks. */
const LOOK_MS = 50;

/** What a router does that others see, in the words of the test that stops it there. */
export type RouterStep = 'read' | 'update' | 'create' | 'handover' | 'await' | 'refresh' | 'writes' | 'cut';

export class CoreRouter {
  readonly service: RouterService;
  readonly client: MemoryClient;
  /** Its requests are not answered and its effects are lost: its process is dead. */
  dead = false;
  /** Before and after each thing it does; may set `dead`. */
  onStep: ((step: RouterStep, when: 'before' | 'after') => void | Promise<void>) | undefined;

  constructor(cluster: CoreCluster, seed: number) {
    this.client = cluster.broker.connect(`router ${seed}`);
    this.service = createRouter({
      clock: cluster.clock,
      random: seededRandom(seed * 104_729),
      log: silentLog,
      metrics: createMetrics({ process: 'router', name: `router ${seed}`, nodeMetrics: false }),
      control: this.controlThrough(this.client.control),
      journal: this.client.keys(JOURNAL_KEY),
      drillKey: new MemoryControl(),
      topology,
      links: new Map(names.map((name) => [name, this.linkTo(cluster, name)])),
      maxBodyBytes: 2 * 1024 * 1024,
      maxBodiesBytes: 64 * 1024 * 1024,
      httpLimits: { inFlight: 4_096, arrivingBodies: 512, answersBytes: 128 * 1024 * 1024 },
      heldWritesLimit: 2_000,
      heldWritesMs: 10_000,
    });
    this.service.start();
  }

  /** One client's request: a single write, or a bulk. */
  submit(
    bodies: readonly EventBody[],
    options: { key?: string; durability?: Durability } = {},
  ): Promise<WriteAccepted> {
    const { key, durability = 'local' } = options;
    const atomic = bodies.length > 1;
    const plain = bodies.map(toWire);
    const writes: readonly WireWrite[] = key === undefined ? plain : withKeys(key, 'signals', plain, atomic);
    const submission: Submission = {
      writes,
      bytes: JSON.stringify(writes).length,
      atomic,
      durability,
      requestId: 'r',
      keyed: key !== undefined,
    };
    return this.service.forwarding.submit(submission);
  }

  private async step<T>(step: RouterStep, work: () => Promise<T>): Promise<T> {
    if (!this.dead) await this.onStep?.(step, 'before');
    if (this.dead) return forever();
    let answer: T;
    try {
      answer = await work();
    } catch (error) {
      if (this.dead) return forever();
      throw error;
    }
    if (!this.dead) await this.onStep?.(step, 'after');
    return this.dead ? forever() : answer;
  }

  private controlThrough(control: Control): Control {
    return {
      read: () => this.step('read', () => control.read()),
      create: (value) => this.step('create', () => control.create(value)),
      update: (value, revision) => this.step('update', () => control.update(value, revision)),
    };
  }

  private linkTo(cluster: CoreCluster, name: string): RegionLink {
    const there = (): CoreRegion => {
      const region = cluster.region(name);
      if (region.down) throw new Fault('not_sent', `${name} cannot be reached`);
      return region;
    };
    const ask = async <T>(step: RouterStep | undefined, work: (region: CoreRegion) => T | Promise<T>): Promise<T> => {
      const run = async (): Promise<T> => {
        const answer = await whileUp(there(), work);
        return JSON.parse(JSON.stringify(answer)) as T;
      };
      if (step !== undefined) return this.step(step, run);
      return this.dead ? forever() : run();
    };
    const askStatus = async (
      step: RouterStep | undefined,
      work: (region: CoreRegion) => RegionStatus | Promise<RegionStatus>,
    ): Promise<ReportedStatus> => readStatus(name, await ask(step, work));
    return {
      region: name,
      writes: ({ epoch, atomic, durability, writes }) =>
        ask('writes', ({ intake }) => {
          const wire = JSON.parse(JSON.stringify(writes)) as WireWrite[];
          return intake.submit({ epoch, atomic, durability: durability ?? 'local', bodies: wire.map(fromWire) });
        }),
      status: () => askStatus(undefined, (region) => region.status()),
      refreshLeadership: () =>
        askStatus('refresh', async (region) => {
          await region.role.refresh();
          return region.status();
        }),
      handover: ({ id }, limitMs) =>
        this.step('handover', async () => {
          const { durable } = await within(cluster, limitMs, there().role.handOver(id));
          return readPosition(name, durable);
        }),
      await: async ({ position, limitMs }) =>
        readAwaited(
          name,
          await ask('await', async ({ apply }) => {
            const reached = await apply.reached(position, limitMs);
            return { reached, applied: formatPosition(apply.applied) };
          }),
        ),
      drain: ({ limitMs }) =>
        ask(undefined, ({ clock, client, receiver }) => drain({ clock, stream: client.stream, receiver }, limitMs)),
      setPartitioned: ({ partitioned: cut, healAfterMs }) =>
        askStatus('cut', async (region) => {
          await region.setCut(cut, healAfterMs);
          return region.status();
        }),
      retireDisk: () => Promise.reject(new Fault('no_answer', 'this harness has no account of disks')),
      countDigest: async ({ id, covering }) =>
        readDigestCount(
          name,
          await ask(undefined, ({ region, apply, digestCounts }) => ({
            region,
            schemaHash: testSchema.hash,
            applied: formatPosition(apply.applied),
            ...digestCounts.request({ id, covering }),
          })),
        ),
      keyRuns: (ids) => ask(undefined, ({ wal }) => ids.map((id) => wal.runs(id))),
      quarantine: (range) => ask(undefined, ({ wal, apply }) => setAside(wal, range, apply.applied)),
      read: () => Promise.reject(new Fault('no_answer', 'this harness has no reads')),
      close: async () => {},
    };
  }
}

export class CoreCluster {
  readonly clock = new ManualClock();
  readonly broker = new MemoryBroker({ clock: this.clock });
  /** Every region there ever was: none may have met a broken invariant. */
  readonly all: CoreRegion[] = [];
  private readonly regions = new Map<string, CoreRegion>();
  private routers = 0;

  /** Three regions, the first of them leading in epoch 1. */
  static async start(options: Partial<CoreRegionOptions> = {}): Promise<CoreCluster> {
    const cluster = new CoreCluster();
    const setup = cluster.broker.connect('setup');
    await cluster.clock.settle();
    await setup.stream.ensure();
    await setup.control.create({ leader: names[0], epoch: 1, nonce: 'first' });
    for (const name of names) cluster.run(cluster.make(name, options));
    await cluster.clock.until('it is led', () => 'epoch' in cluster.region(names[0]).role.gate(1));
    await cluster.clock.until('ready', () => names.every((name) => cluster.region(name).readiness.ready));
    return cluster;
  }

  async router(): Promise<CoreRouter> {
    const router = new CoreRouter(this, ++this.routers);
    await this.clock.until('it knows who leads', () => router.service.leadership.current !== undefined);
    return router;
  }

  region(name: string): CoreRegion {
    const region = this.regions.get(name);
    if (region === undefined) throw new Error(`no region ${name}`);
    return region;
  }

  /** Pulls the plug; nothing answers for the region until `start`. */
  kill(name: string, unflushed: 'lost' | 'kept' = 'lost'): void {
    const after = this.region(name).crash(unflushed);
    after.down = true;
    this.regions.set(name, after);
  }

  /** Starts a killed region: on its own disk, or on the one given; an empty one when `store` is `new`. */
  start(
    name: string,
    store: MemoryStore | 'new' = this.region(name).store.backup(),
    options: Partial<CoreRegionOptions> = {},
  ): CoreRegion {
    const region = this.make(name, store === 'new' ? options : { ...options, store });
    this.run(region);
    return region;
  }

  /** The record in the key now. */
  get record(): Leadership {
    const json = this.broker.bucket?.entries.get('leadership')?.json;
    if (json === undefined) throw new Error('the key is missing');
    return JSON.parse(json) as Leadership;
  }

  /** All three at one position, all of it in the stream; then that they are the same, and no process met a bug. */
  async converge(limitMs = 60_000): Promise<CoreRegion> {
    const regions = (): CoreRegion[] => names.map((name) => this.region(name));
    const same = (): boolean => {
      const [first, ...others] = regions();
      return (
        others.every(({ applied }) => applied === first!.applied) && regions().every((r) => r.ship.unshipped === 0)
      );
    };
    await this.clock.until('all regions are at one position', same, limitMs);
    const digests = new Set(regions().map((region) => region.digest()));
    if (digests.size !== 1) throw new Error('regions at one position differ');
    const bad = this.all.flatMap(({ fatal, stopped }) => [...fatal, ...stopped]);
    if (bad.length > 0) throw new Error(`a process met a broken invariant: ${bad.map(String).join('; ')}`);
    return this.region(names[0]);
  }

  /** How often the views of an entity count, the same in every region. */
  count(entity: number): number {
    return this.region(names[0]).ledger.read(entity, 'view', this.clock.nowMs())?.count ?? 0;
  }

  /** The regions that opened origins in each epoch: one each, or two lead at once. */
  leadersByEpoch(): Map<number, Set<string>> {
    const leaders = new Map<number, Set<string>>();
    for (const name of names) {
      for (const { origin, epoch, last } of this.region(name).wal.origins()) {
        if (last === 0) continue;
        leaders.set(epoch, (leaders.get(epoch) ?? new Set()).add(origin.split('@')[0]!));
      }
    }
    return leaders;
  }

  private make(name: string, options: Partial<CoreRegionOptions> = {}): CoreRegion {
    const { clock, broker } = this;
    const others = names.filter((other) => other !== name);
    return new CoreRegion({ queueLimit: 50_000, ...options, region: name, clock, broker }, others);
  }

  private run(region: CoreRegion): void {
    for (const [name, met] of this.regions) {
      if (name === region.region) continue;
      met.meet(region);
      region.meet(met);
    }
    this.regions.set(region.region, region);
    this.all.push(region);
    region.start();
  }
}

/** The region's answer, or a broken connection if its process dies before. */
function whileUp<T>(region: CoreRegion, work: (region: CoreRegion) => T | Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: Timer;
    const gone = (): void => {
      if (region.down) reject(new Fault('no_answer', `${region.region} went away`));
      else timer = region.clock.after(LOOK_MS, gone);
    };
    timer = region.clock.after(LOOK_MS, gone);
    // What a dead process would still have said is not heard.
    const hear = (settle: () => void): void => {
      if (region.down) return;
      timer.cancel();
      settle();
    };
    const run = async (): Promise<T> => work(region);
    run().then(
      (value) => hear(() => resolve(value)),
      (error: unknown) => hear(() => reject(error)),
    );
  });
}

function forever(): Promise<never> {
  return new Promise(() => {});
}

async function within<T>(cluster: CoreCluster, limitMs: number, work: Promise<T>): Promise<T> {
  let over = (): void => {};
  const late = new Promise<never>((_, reject) => {
    over = () => reject(new Fault('no_answer', `no answer within ${limitMs} ms`));
  });
  const timer = cluster.clock.after(limitMs, () => over());
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.cancel();
  }
}
