/**
 * Watches the settings of the stream and of the control bucket: a changed message size or retention prevents shipping while
 * everything seems well. Every region checks them and reports differences; only the leader restores them, so that regions with
 * different settings do not overwrite each other.
 */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { type Repetition, repeat } from '../../../shared/kernel/repeat.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import type { SettingsDifference, Stream } from '../../../shared/stream/stream.ts';

export const CHECK_MS = 10_000;

export interface SettingsWatchOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly stream: Pick<Stream, 'connected' | 'checkSettings'>;
  /** Whether this region restores changed settings. */
  readonly mends: () => boolean;
}

export class SettingsWatch {
  private readonly options: SettingsWatchOptions;
  private readonly changes;
  private found: readonly SettingsDifference[] = [];
  private loop: Repetition | undefined;

  constructor(options: SettingsWatchOptions) {
    this.options = options;
    this.changes = options.metrics.counter({
      name: 'tidal_stream_settings_changed_total',
      help: 'Settings of the stream or the control bucket found changed.',
    });
  }

  /** The changed settings of the last check, one sentence each; restored ones are listed until the next check. */
  get findings(): readonly string[] {
    return this.found.map(({ what, outcome, why }) => {
      if (outcome === 'mended') return `${what}; it has just been put right`;
      return outcome === 'left' ? what : `${what}; it cannot be put right: ${why}`;
    });
  }

  start(): void {
    this.loop ??= repeat({ clock: this.options.clock, pauseMs: CHECK_MS, action: () => this.check() });
  }

  async stop(): Promise<void> {
    await this.loop?.stop();
  }

  private async check(): Promise<void> {
    const { log, stream, mends } = this.options;
    if (!stream.connected) return;
    const before = new Set(this.found.map(({ what }) => what));
    try {
      this.found = await stream.checkSettings(mends());
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      log.debug('stream settings check failed', { error: messageOf(error) });
      return;
    }
    for (const { what, outcome, why } of this.found) {
      if (before.has(what)) continue;
      this.changes.inc();
      log.error('stream setting changed by another client', {
        what,
        outcome,
        ...(why === undefined ? {} : { reason: why }),
      });
    }
  }
}
