/**
 * A machine with one process on it: a region with its disk, or a router. The process starts, dies and starts again; the
 * machine keeps its disk and its clock.
 */
import type { Gauge } from 'prom-client';
import { Fault, messageOf } from '../../shared/errors/errors.ts';
import { BrokenInvariant } from '../../shared/kernel/kernel.ts';
import type { Log, LogFields } from '../../shared/observe/log.ts';
import { createMetrics, type Metrics } from '../../shared/observe/metrics.ts';
import type { ControlKeys } from '../../shared/stream/stream.ts';
import { keysOfServer } from '../harness/stream/key-server.ts';
import type { MemoryClient } from '../harness/stream/memory-client.ts';
import type { Chance } from './chance.ts';
import { internalKeys } from './credentials.ts';
import { type DeathAt, Life } from './life.ts';
import { Violation } from './violation.ts';
import type { Limits, World } from './world.ts';

/** Between the end of a process and its next start, by default: its supervisor restarts it. */
const RESTART_MS = 1_000;
/** An orderly stop that takes longer is a kill. */
const STOP_LIMIT_MS = 15_000;

/** Off the true time by less, a clock is right. */
const RIGHT_MS = 1_000;

export abstract class Machine {
  readonly name: string;
  /** When its clock was set last, virtual ms. */
  clockSetMs = Number.NEGATIVE_INFINITY;
  private offsetMs: number;
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
    this.offsetMs = Math.round(this.chance.between(-400, 400));
  }

  /** Its clock against the true one, ms. */
  get clockOffsetMs(): number {
    return this.offsetMs;
  }

  set clockOffsetMs(offsetMs: number) {
    this.offsetMs = offsetMs;
    this.clockSetMs = this.world.scheduler.nowMs;
  }

  /** Whether its clock was right, and its process ran, from then until now. */
  toldTimeSince(sinceMs: number): boolean {
    const { life } = this;
    if (life === undefined || life.standsStill || life.stoodStillMs >= sinceMs) return false;
    return Math.abs(this.offsetMs) <= RIGHT_MS && this.clockSetMs < sinceMs && this.world.passedAtMs < sinceMs;
  }

  /** Its connection to the stream's server. */
  get broker(): MemoryClient | undefined {
    return this.client;
  }

  /** Time of the last pause of its process, virtual ms. */
  get stoodStillMs(): number {
    return this.life?.stoodStillMs ?? Number.NEGATIVE_INFINITY;
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
      // Its restart was postponed while it was down.
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
      onThaw: (stoodMs) => this.thawed(stoodMs),
    });
    this.life = life;
    world.note(this.name, `starts (${this.starts})`);
    this.client = world.broker.connect(this.name);
    this.run(life).catch((error: unknown) => this.exit(life, error));
  }

  /** The keys of the control bucket, by the production code. */
  protected keysOf(client: MemoryClient): ControlKeys {
    return keysOfServer(this.world.broker, client, internalKeys);
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
  /** Its process resumes. */
  protected thawed(_stoodMs: number): void {}

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
    world.note(this.name, 'has ended');
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
