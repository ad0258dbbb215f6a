/**
 * The heartbeat: with automatic failover every region rewrites its own key in the control bucket every second. A router that
 * cannot reach a leader sees by it that others can.
 *
 * It only means "this process runs and reaches the bucket". A partitioned region continues to write it, with the flag that it is
 * partitioned. What a crash leaves: the key as it was, unchanged from then on.
 */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { type Repetition, repeat } from '../../../shared/kernel/repeat.ts';
import type { Alive } from '../../../shared/leadership/leadership.ts';
import type { Log } from '../../../shared/observe/log.ts';
import { POLL_MS } from '../../../shared/protocol/deadlines.ts';
import type { Control, Revision } from '../../../shared/stream/stream.ts';

export interface HeartbeatOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly region: string;
  /** The region's own key. */
  readonly key: Control;
  readonly partitioned: () => boolean;
}

export class Heartbeat {
  private readonly options: HeartbeatOptions;
  private revision: Revision | undefined;
  private loop: Repetition | undefined;

  constructor(options: HeartbeatOptions) {
    this.options = options;
  }

  start(): void {
    this.loop ??= repeat({ clock: this.options.clock, pauseMs: POLL_MS, action: () => this.beat() });
  }

  async stop(): Promise<void> {
    await this.loop?.stop();
  }

  private async beat(): Promise<void> {
    const { key, log, region, partitioned, clock } = this.options;
    const value: Alive = { region, partitioned: partitioned(), clockMs: clock.nowMs() };
    try {
      if (this.revision === undefined) {
        const entry = await key.read();
        if (entry !== 'missing') this.revision = entry.revision;
      }
      const written = this.revision === undefined ? await key.create(value) : await key.update(value, this.revision);
      // A conflict is the lost answer to an own write, or a recreated bucket: the next beat reads first.
      this.revision = written === 'conflict' ? undefined : written.revision;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.revision = undefined;
      log.debug('heartbeat not written', { error: messageOf(error) });
    }
  }
}
