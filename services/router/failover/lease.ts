/**
 * The lease: one key that its holder rewrites every second, so that one of several routers acts.
 *
 * A router that sees it unchanged for 5 s on its own monotonic clock takes it by compare-and-set. The holder considers itself the
 * holder for 4 s from before its last successful write: it stops acting before another takes the lease.
 */
import { Fault } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { type Repetition, repeat } from '../../../shared/kernel/repeat.ts';
import { type LeaseValue, parseLease } from '../../../shared/leadership/leadership.ts';
import type { RefusedValues } from '../../../shared/leadership/refused-values.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Control, Revision } from '../../../shared/stream/stream.ts';

const RENEW_MS = 1_000;
export const LEASE_EXPIRES_MS = 5_000;
const HELD_MS = 4_000;

export interface LeaseOptions {
  readonly key: Control;
  /** Random name of this process. */
  readonly holder: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly refusals: RefusedValues;
}

export class Lease {
  private readonly options: LeaseOptions;
  private heldUntilMs = Number.NEGATIVE_INFINITY;
  /** The lease of another router, and since when it has not changed. */
  private seen: { readonly revision: Revision; readonly sinceMs: number } | undefined;
  private loop: Repetition | undefined;

  constructor(options: LeaseOptions) {
    this.options = options;
  }

  get held(): boolean {
    return this.options.clock.monotonicMs() < this.heldUntilMs;
  }

  start(): void {
    this.loop ??= repeat({ clock: this.options.clock, pauseMs: RENEW_MS, action: () => this.renew() });
  }

  async stop(): Promise<void> {
    await this.loop?.stop();
    this.heldUntilMs = Number.NEGATIVE_INFINITY;
  }

  private async renew(): Promise<void> {
    const { key, holder, clock, log } = this.options;
    const value: LeaseValue = { holder };
    const startMs = clock.monotonicMs();
    const wasHeld = this.held;
    try {
      const entry = await key.read();
      const other = entry === 'missing' ? undefined : this.holderIn(entry.value);
      if (entry !== 'missing' && other !== undefined && other !== holder && !this.expired(entry.revision)) return;
      const written = entry === 'missing' ? await key.create(value) : await key.update(value, entry.revision);
      if (written === 'conflict') return;
      this.seen = undefined;
      this.heldUntilMs = startMs + HELD_MS;
      if (!wasHeld) log.info('failover lease acquired');
    } catch (error) {
      // A lease that cannot be renewed expires by itself.
      if (!(error instanceof Fault)) throw error;
      this.seen = undefined;
    }
  }

  /** Undefined if no router holds it: an invalid value is overwritten. */
  private holderIn(value: unknown): string | undefined {
    const { refusals } = this.options;
    const lease = parseLease(value);
    if (lease === undefined) refusals.refuse('the lease key', value, 'it names no holder');
    else refusals.accept('the lease key');
    return lease?.holder;
  }

  private expired(revision: Revision): boolean {
    const nowMs = this.options.clock.monotonicMs();
    if (this.seen?.revision !== revision) this.seen = { revision, sinceMs: nowMs };
    return nowMs - this.seen.sinceMs >= LEASE_EXPIRES_MS;
  }
}
