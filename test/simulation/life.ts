/**
 * One incarnation of a process: from its start to its end. Its whole access to the world (clock, randomness, store, stream, keys,
 * calls) goes through here, so that once it is dead nothing of it runs or has an effect.
 *
 * It may die at any of its effects: before the effect, or right after it and before anything that follows in the same step.
 * Between two effects a process only changes its own memory, so that these are all the points that differ.
 */
import type { Store, StoreCopy, StoreHome } from '../../services/region/store/store.ts';
import type { Clock, Timer } from '../../shared/kernel/kernel.ts';
import type { Control, Stream } from '../../shared/stream/stream.ts';
import type { Chance } from './chance.ts';
import type { Scheduler } from './scheduler.ts';

/** Where in its effects a process dies. */
export interface DeathAt {
  /** Effects from now, 1 the next. */
  readonly effect: number;
  readonly after: boolean;
}

export interface LifeOptions {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  /** The wall clock of its machine, ms. */
  readonly wallMs: () => number;
  /** Something threw where nothing may. */
  readonly onUncaught: (error: unknown) => void;
  readonly onEnd: () => void;
  /** Called when it resumes after a pause of this length. */
  readonly onThaw?: (stoodMs: number) => void;
}

export class Life {
  readonly name: string;
  readonly clock: Clock;
  readonly chance: Chance;
  alive = true;
  /** Effects so far. */
  effects = 0;
  /** It has read the leadership record, or a region's report in its place. */
  confirmed = false;
  wasFrozen = false;
  /** Time of its last pause, virtual ms. */
  stoodStillMs = Number.NEGATIVE_INFINITY;
  private readonly options: LifeOptions;
  private frozenMs = 0;
  private frozen: (() => void)[] | undefined;
  private death: { left: number; after: boolean } | undefined;
  private stall: { left: number; readonly ms: number } | undefined;

  constructor(options: LifeOptions) {
    const { scheduler, wallMs } = options;
    this.name = options.name;
    this.options = options;
    this.chance = options.chance;
    this.clock = {
      nowMs: () => Math.floor(wallMs()),
      monotonicMs: () => scheduler.nowMs,
      after: (delayMs, action) => this.after(delayMs, action),
    };
  }

  dieAt({ effect, after }: DeathAt): void {
    this.death = { left: effect, after };
  }

  /** Freezes it, as a debugger or a paused container does; received messages wait. */
  freeze(): void {
    this.wasFrozen = true;
    if (this.frozen === undefined) this.frozenMs = this.options.scheduler.nowMs;
    this.frozen ??= [];
  }

  get standsStill(): boolean {
    return this.frozen !== undefined;
  }

  thaw(): void {
    const waiting = this.frozen;
    this.frozen = undefined;
    if (waiting !== undefined && this.alive) {
      const { nowMs } = this.options.scheduler;
      this.stoodStillMs = nowMs;
      this.options.onThaw?.(nowMs - this.frozenMs);
    }
    for (const run of waiting ?? []) run();
  }

  /**
   * It computes for that long before one of its next effects: what it decided before comes about after, and whatever reaches it
   * meanwhile waits.
   */
  stallAt(effect: number, ms: number): void {
    this.stall = { left: effect, ms };
  }

  /** Whether an effect that is about to begin has to wait: the process computes. */
  private get waits(): boolean {
    const { stall } = this;
    if (this.alive && stall !== undefined && --stall.left <= 0) {
      this.stall = undefined;
      this.freeze();
      this.options.scheduler.after(stall.ms, () => this.thaw());
    }
    return this.frozen !== undefined;
  }

  /** Runs it in the process: now, once it is thawed, or never. */
  enter(run: () => void): void {
    if (!this.alive) return;
    if (this.frozen === undefined) run();
    else this.frozen.push(() => this.enter(run));
  }

  /** It neither dies nor stalls where it was to. */
  live(): void {
    this.death = undefined;
    this.stall = undefined;
  }

  end(): void {
    if (!this.alive) return;
    this.alive = false;
    this.options.onEnd();
  }

  /** One effect without an answer. */
  act(effect: () => void): void {
    if (this.waits) this.enter(() => this.act(effect));
    else if (this.begin()) {
      effect();
      this.done();
    }
  }

  /** Begins an effect: false when the process is dead, or dies of it before it happens. */
  private begin(): boolean {
    if (!this.alive) return false;
    this.effects++;
    if (this.death === undefined || --this.death.left > 0) return true;
    if (!this.death.after) this.end();
    return this.alive;
  }

  /** The effect has happened. */
  private done(): void {
    if (this.death !== undefined && this.death.left <= 0) this.end();
  }

  /** One effect with an answer, which a dead process never gets. */
  ask<T>(effect: () => Promise<T>): Promise<T> {
    if (this.waits) {
      return new Promise((resolve, reject) => this.enter(() => void this.ask(effect).then(resolve, reject)));
    }
    if (!this.begin()) return forever();
    const answer = effect();
    this.done();
    return new Promise((resolve, reject) => {
      answer.then(
        (value) => this.enter(() => resolve(value)),
        (error: unknown) => this.enter(() => reject(error)),
      );
    });
  }

  private after(delayMs: number, action: () => void): Timer {
    let cancelled = false;
    const timer = this.options.scheduler.after(delayMs, () =>
      this.enter(() => {
        if (cancelled) return;
        try {
          action();
        } catch (error) {
          this.options.onUncaught(error);
        }
      }),
    );
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  store(store: Store): Store {
    return {
      get: (table, key) => store.get(table, key),
      range: (table, options) => store.range(table, options),
      commit: (work) => this.ask(() => store.commit(work)),
      sizes: () => store.sizes(),
      count: (table) => store.count(table),
      bytes: (table) => store.bytes(table),
      close: () => this.ask(() => store.close()),
    };
  }

  home(home: StoreHome): StoreHome {
    return {
      open: () => this.store(home.open()),
      copy: async () => {
        const copy = await this.ask(() => home.copy());
        const { bytes, sha256 } = copy;
        const read: StoreCopy['read'] = (offset, limitBytes) => this.ask(() => copy.read(offset, limitBytes));
        return { bytes, sha256, read, dispose: () => this.ask(() => copy.dispose()) };
      },
      incoming: async (id, bytes) => {
        const incoming = await this.ask(() => home.incoming(id, bytes));
        return {
          get received() {
            return incoming.received;
          },
          append: (bytes) => this.ask(() => incoming.append(bytes)),
          complete: (bytes, sha256) => this.ask(() => incoming.complete(bytes, sha256)),
          renew: (signal) => this.ask(() => incoming.renew(signal)),
          open: () => this.store(incoming.open()),
          makeCurrent: () => this.ask(() => incoming.makeCurrent()),
          discard: () => this.ask(() => incoming.discard()),
        };
      },
    };
  }

  /** `onPublish` sees what is about to leave. */
  stream(stream: Stream, onPublish: (bytes: Uint8Array) => void): Stream {
    return {
      get connected() {
        return stream.connected;
      },
      get messageLimitBytes() {
        return stream.messageLimitBytes;
      },
      onConnection: (listener) =>
        stream.onConnection((connected) => {
          this.enter(() => listener(connected));
        }),
      ensure: () => this.ask(() => stream.ensure()),
      checkSettings: (mend) => this.ask(() => stream.checkSettings(mend)),
      info: () => this.ask(() => stream.info()),
      message: (sequence) => this.ask(() => stream.message(sequence)),
      lastOf: (origin) => this.ask(() => stream.lastOf(origin)),
      publish: (origin, bytes, expectedLast, mac) =>
        this.ask(() => {
          onPublish(bytes);
          return stream.publish(origin, bytes, expectedLast, mac);
        }),
      subscribe: ({ from, onMessage, onSubscriptionEnd }) =>
        this.ask(async () => {
          const subscription = await stream.subscribe({
            from,
            onMessage: (message) =>
              new Promise((resolve, reject) => this.enter(() => onMessage(message).then(resolve, reject))),
            onSubscriptionEnd: (reason, detail) => this.enter(() => onSubscriptionEnd(reason, detail)),
          });
          return { close: () => this.ask(() => subscription.close()) };
        }),
    };
  }

  /** `onRead` is called if there is such a key and it was read. */
  control(control: Control, onRead?: () => void): Control {
    return {
      read: async () => {
        const entry = await this.ask(() => control.read());
        if (entry !== 'missing') onRead?.();
        return entry;
      },
      create: (value) => this.ask(() => control.create(value)),
      update: (value, revision) => this.ask(() => control.update(value, revision)),
    };
  }
}

export function forever(): Promise<never> {
  return new Promise(() => {});
}
