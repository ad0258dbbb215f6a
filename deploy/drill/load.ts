/**
 * The load of a drill: writers and readers at a bounded rate. Every write is remembered with its outcome, because the verdict
 * counts each of them in every region afterwards.
 */
import { type Clock, type Random, randomName, sleep } from '../../shared/kernel/kernel.ts';
import type { Load } from './drill.ts';
import { milliweightOf, SLOTS } from './slots.ts';
import type { Answered, Surface } from './surface.ts';

/** A write under a key is sent again after this long, ms. */
const AGAIN_AFTER_MS = 100;
const KEY_CHARACTERS = 26;

/** One write, sent once or, under its key, several times. */
export interface RememberedWrite {
  readonly entity: number;
  readonly slot: number;
  /** `failed`: every attempt was refused. `unknown`: never acknowledged, and an attempt may have counted. */
  outcome: 'acknowledged' | 'failed' | 'unknown' | 'waiting';
}

/** A request that ended; times on the monotonic clock, ms. */
export interface Sample {
  readonly kind: 'write' | 'read';
  readonly endedMs: number;
  readonly tookMs: number;
  readonly failed: boolean;
}

export interface LoadOptions {
  readonly load: Load;
  readonly surface: Pick<Surface, 'write' | 'read'>;
  readonly clock: Clock;
  readonly random: Random;
  /** The items of the writes have the ids from here on. */
  readonly firstEntity: number;
}

export class LoadRun {
  readonly writes: RememberedWrite[] = [];
  readonly samples: Sample[] = [];
  /** Problem codes and other failures, with how often each was met. */
  readonly failures = new Map<string, number>();
  /** The longest that a write took, from its first attempt to its acknowledgement or until it was given up, ms. */
  worstWriteMs = 0;
  private readonly options: LoadOptions;
  private readonly stopping = new AbortController();
  private readonly waitingSince = new Map<object, { readonly kind: Sample['kind']; readonly sinceMs: number }>();
  private readonly running: Promise<unknown>;
  private giveUpAtMs = Number.POSITIVE_INFINITY;

  /** Begins at once. */
  constructor(options: LoadOptions) {
    this.options = options;
    const { writers, writesPerSecond, readers, readsPerSecond } = options.load;
    const all = [
      ...Array.from({ length: writers }, (_, at) => this.loop(at, writers, writesPerSecond, () => this.write())),
      ...Array.from({ length: readers }, (_, at) => this.loop(at, readers, readsPerSecond, () => this.read())),
    ];
    this.running = Promise.all(all);
  }

  /** The ids of the items that were written to. */
  get entities(): readonly number[] {
    const { firstEntity } = this.options;
    return Array.from({ length: Math.ceil(this.writes.length / SLOTS) }, (_, index) => firstEntity + index);
  }

  /** Of the requests that have not ended. */
  waits(kind: Sample['kind']): readonly number[] {
    const nowMs = this.options.clock.monotonicMs();
    return [...this.waitingSince.values()].filter((each) => each.kind === kind).map(({ sinceMs }) => nowMs - sinceMs);
  }

  /** No more writes; those under a key are sent again for `giveUpMs` at most. Resolves when none waits. Idempotent. */
  async stop(giveUpMs: number): Promise<void> {
    this.giveUpAtMs = Math.min(this.giveUpAtMs, this.options.clock.monotonicMs() + giveUpMs);
    this.stopping.abort();
    await this.running;
  }

  private async loop(at: number, of: number, perSecond: number, once: () => Promise<void>): Promise<void> {
    const { clock } = this.options;
    const { signal } = this.stopping;
    const everyMs = (of / perSecond) * 1_000;
    let dueMs = clock.monotonicMs() + (everyMs * at) / of;
    for (;;) {
      await sleep(clock, Math.max(0, dueMs - clock.monotonicMs()), signal);
      if (signal.aborted) return;
      await once();
      // What was not sent while it waited is not sent later: the rate is an upper bound.
      dueMs = Math.max(dueMs + everyMs, clock.monotonicMs());
    }
  }

  private async write(): Promise<void> {
    const { load, surface, clock, random, firstEntity } = this.options;
    const index = this.writes.length;
    const slot = index % SLOTS;
    const write: RememberedWrite = { entity: firstEntity + Math.floor(index / SLOTS), slot, outcome: 'waiting' };
    this.writes.push(write);
    const key = load.keyed ? randomName(random, KEY_CHARACTERS) : undefined;
    const sent = { entity: write.entity, signal: load.signal, milliweight: milliweightOf(slot), key };
    const startMs = clock.monotonicMs();
    let mayCount = false;
    for (;;) {
      const { outcome } = await this.timed('write', () => surface.write(sent));
      if (outcome === 'done') {
        write.outcome = 'acknowledged';
        break;
      }
      mayCount ||= outcome === 'unknown';
      if (key === undefined || clock.monotonicMs() + AGAIN_AFTER_MS >= this.giveUpAtMs) {
        write.outcome = mayCount ? 'unknown' : 'failed';
        break;
      }
      await sleep(clock, AGAIN_AFTER_MS);
    }
    this.worstWriteMs = Math.max(this.worstWriteMs, clock.monotonicMs() - startMs);
  }

  private async read(): Promise<void> {
    await this.timed('read', () => this.options.surface.read());
  }

  private async timed(kind: Sample['kind'], request: () => Promise<Answered>): Promise<Answered> {
    const { clock } = this.options;
    const startMs = clock.monotonicMs();
    const waiting = {};
    this.waitingSince.set(waiting, { kind, sinceMs: startMs });
    const answered = await request();
    this.waitingSince.delete(waiting);
    const failed = answered.outcome !== 'done';
    const endedMs = clock.monotonicMs();
    this.samples.push({ kind, endedMs, tookMs: endedMs - startMs, failed });
    if (failed) {
      const code = answered.code ?? 'unknown';
      this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
    }
    return answered;
  }
}
