/**
 * The handover before a planned stop of a leader, so that no write has to wait for its return.
 *
 * Order of effects: this region reports `draining` → a router that sees it in the leader's status promotes the most advanced
 * region that can lead, by the planned procedure (`services/router/cluster/promote.ts`) → this region, now a follower, waits
 * {@link STEP_DOWN_LINGER_MS}, so that every router has read the new record before connections break → the stop.
 *
 * It stops without a successor if no other region is ready, reachable and not draining; if the broker is unavailable or this
 * region is partitioned; if no router has begun within {@link STEP_DOWN_NOTICED_MS}; if the limit has passed; or if the
 * supervisor stops everything. What a crash leaves: what a crash in a planned promotion leaves.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import { type Clock, sleep, within } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import { PEER_STATUS_LIMIT_MS, STEP_DOWN_LINGER_MS, STEP_DOWN_NOTICED_MS } from '../../../shared/protocol/deadlines.ts';
import type { ReportedStatus } from '../../../shared/region-client/reported-status.ts';
import type { Stream } from '../../../shared/stream/stream.ts';
import type { Peers } from '../peers/peers.ts';
import type { Role } from './leadership.ts';

const LOOK_MS = 50;

export interface StepDownOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly region: string;
  readonly role: Pick<Role, 'leads' | 'leadership'>;
  readonly peers: Pick<Peers, 'views' | 'poll'>;
  readonly stream: Pick<Stream, 'connected'>;
  /** True while this region is partitioned. */
  readonly partitioned: () => boolean;
}

export class StepDown {
  private readonly options: StepDownOptions;
  /** True while this region is about to stop. */
  draining = false;

  constructor(options: StepDownOptions) {
    this.options = options;
  }

  /** Why a region that is about to stop must not be promoted; undefined otherwise, and for the leader itself. */
  get writeBlocker(): Refusal | undefined {
    const { region, role } = this.options;
    if (!this.draining || role.leads) return undefined;
    return new Refusal('shutting_down', `${region} is stopping`);
  }

  /** Resolves when this region may stop: within `limitMs` and {@link STEP_DOWN_LINGER_MS}, at once when `together` is aborted. Never throws. */
  async run(limitMs: number, together: AbortSignal): Promise<void> {
    const { clock, log, role, peers } = this.options;
    this.draining = true;
    if (!role.leads || limitMs === 0 || together.aborted) return;
    const startMs = clock.monotonicMs();
    await within(clock, PEER_STATUS_LIMIT_MS, peers.poll(), undefined);
    for (;;) {
      if (together.aborted) return;
      if (!role.leads) break;
      const waitedMs = clock.monotonicMs() - startMs;
      const why = this.alone(waitedMs, limitMs);
      if (why !== undefined) {
        log.warn('leader stopping without a successor', { why, waited_ms: Math.round(waitedMs) });
        return;
      }
      await sleep(clock, LOOK_MS, together);
    }
    log.info('leadership handed over before stopping', {
      to: role.leadership?.leader,
      took_ms: Math.round(clock.monotonicMs() - startMs),
    });
    await sleep(clock, STEP_DOWN_LINGER_MS, together);
  }

  /** Why it does not wait any longer. */
  private alone(waitedMs: number, limitMs: number): string | undefined {
    const { role, peers, stream, partitioned } = this.options;
    if (waitedMs >= limitMs) return `nobody has taken over within ${limitMs} ms`;
    if (role.leadership?.handover !== undefined) return undefined;
    if (partitioned()) return 'this region is partitioned';
    if (!stream.connected) return 'the broker is away';
    const able = [...peers.views.values()].some(({ status, reachable }) => reachable && canLead(status));
    if (!able) return 'no other region can lead';
    return waitedMs < STEP_DOWN_NOTICED_MS ? undefined : 'no router has begun to hand over';
  }
}

function canLead({ ready, partitioned, stopped, writeBlocker, draining }: ReportedStatus): boolean {
  return ready && !partitioned && stopped === undefined && writeBlocker === undefined && draining !== true;
}
