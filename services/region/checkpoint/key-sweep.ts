/**
 * Forgetting idempotency keys whose seven days are over, as exactly as counting them.
 *
 * Let T be the earliest, over all regions of the topology, of the moments up to which everything a region accepted is
 * known here: for a peer its clock in a report whose durable position is applied here; here the present. A copy that comes later
 * was accepted at T or after, less what a clock was set back: one day is left for that. So where every copy of an id was
 * accepted before T − 7 d − 1 d, a copy still to come begins another request, and counts whether the old ones are known or
 * not. A peer that has not reported since this process started may hold anything: then nothing is forgotten.
 *
 * Only keys whose copies all lie below the floor go: whatever a restart replays, it finds the copies of.
 */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import { covers, type Position, reportedDurable } from '../../../shared/protocol/position.ts';
import type { Peers } from '../repair/repair.ts';
import { KEY_KEPT_MS } from '../state/keys/keys.ts';
import type { Wal } from '../wal/wal.ts';
import type { Sweep } from './checkpoint.ts';

/** Clocks are taken to be set back by less than this, ms. */
const SET_BACK_MS = 86_400_000;
const STEP_IDS = 1_000;
const STEP_MS = 1_000;
/** Between two walks through all keys, ms. */
const REST_MS = 600_000;

export interface KeySweepOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly wal: Pick<Wal, 'forgetKeys'>;
  readonly peers: Pick<Peers, 'views' | 'expected' | 'onPolled'>;
  readonly applied: () => Position;
  /** Where a restart would replay from. */
  readonly floor: () => Position;
  /** The store failed: the process must end. */
  readonly onFatal: (error: unknown) => void;
  readonly onForgotten?: (keys: number) => void;
}

export function createKeySweep(options: KeySweepOptions): Sweep {
  return new KeySweep(options);
}

interface Report {
  readonly durable: Position;
  readonly clockMs: number;
}

class KeySweep implements Sweep {
  private readonly options: KeySweepOptions;
  private readonly stopped = new AbortController();
  /** Of each peer the oldest report that is not applied here yet. */
  private readonly waiting = new Map<string, Report>();
  /** Up to when everything a peer accepted is known here, epoch ms of its clock. */
  private readonly knownMs = new Map<string, number>();
  private loop: Promise<void> = Promise.resolve();

  constructor(options: KeySweepOptions) {
    this.options = options;
  }

  start(): void {
    this.options.peers.onPolled(() => this.look());
    this.loop = this.run();
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.loop;
  }

  /** One report is followed until it is applied, then the next: a busy peer's newest one never would be. */
  private look(): void {
    const { peers, applied } = this.options;
    for (const [region, { status, reachable }] of peers.views) {
      const durable = reachable ? reportedDurable(status) : undefined;
      if (durable !== undefined && !this.waiting.has(region)) {
        this.waiting.set(region, { durable, clockMs: status.clockMs });
      }
      const report = this.waiting.get(region);
      if (report === undefined || !covers(applied(), report.durable)) continue;
      this.knownMs.set(region, report.clockMs);
      this.waiting.delete(region);
    }
  }

  /** Copies accepted before this moment have no other to come within their seven days; undefined: that cannot be told. */
  private get beforeMs(): number | undefined {
    const { peers, clock } = this.options;
    if (this.knownMs.size < peers.expected) return undefined;
    return Math.min(clock.nowMs(), ...this.knownMs.values()) - KEY_KEPT_MS - SET_BACK_MS;
  }

  private async run(): Promise<void> {
    const { clock, log, onFatal } = this.options;
    while (!this.stopped.signal.aborted) {
      try {
        const forgotten = await this.walk();
        if (forgotten > 0) log.info('idempotency keys forgotten', { keys: forgotten });
      } catch (error) {
        if (!(error instanceof Fault && error.code === 'storage_full')) {
          onFatal(error);
          return;
        }
        log.warn('no idempotency keys were forgotten: the disk is full', { error: messageOf(error) });
      }
      await sleep(clock, REST_MS, this.stopped.signal);
    }
  }

  /** Through all keys once, a step a second. */
  private async walk(): Promise<number> {
    const { clock, wal, floor, onForgotten } = this.options;
    let total = 0;
    let from: string | undefined;
    do {
      await sleep(clock, STEP_MS, this.stopped.signal);
      const { beforeMs } = this;
      if (this.stopped.signal.aborted) break;
      if (beforeMs === undefined) continue;
      const { next, forgotten } = await wal.forgetKeys({ from, limit: STEP_IDS, beforeMs, upTo: floor() });
      if (forgotten > 0) onForgotten?.(forgotten);
      total += forgotten;
      from = next;
      if (next === undefined) break;
    } while (!this.stopped.signal.aborted);
    return total;
  }
}
