/**
 * Removes idempotency records whose seven days are over, without changing what counts.
 *
 * Let T be the time up to which everything that was accepted on any disk is known here (`disk-account.ts`). An event that arrives
 * later was accepted at T or after, minus the amount by which a clock was set back: one day is reserved for that. So if every
 * event under a key was accepted before T − 7 d − 1 d, a later one begins another request, and counts whether the old ones are
 * known or not. A key's row is removed when this holds for all its writes: knowing one of them longer changes nothing either. A
 * duplicate that arrives in spite of this, from a disk that no region had seen or that was retired, is refused
 * (`receive/ingest.ts`): the log knows up to when records were removed.
 *
 * Only keys whose events are all covered by the checkpoint position are removed: a restart finds the records of everything that
 * it replays.
 */
import { sleep } from '../../../shared/kernel/kernel.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import type { Position } from '../../../shared/protocol/position.ts';
import { KEY_KEPT_MS } from '../state/keys/keys.ts';
import type { Wal } from '../wal/wal.ts';
import type { Disks, Sweep } from './checkpoint.ts';
import { createSweep, type SweepOptions } from './sweep.ts';

/** Clocks are taken to be set back by less than this, ms. */
const SET_BACK_MS = 86_400_000;
/** Limits of one step: single writes have small rows, a bulk's is as large as the bulk. */
const STEP_ROWS = 1_000;
const STEP_BYTES = 4 * 1024 * 1024;
const STEP_MS = 1_000;
/** Between two walks through all keys, ms. */
const REST_MS = 600_000;

export interface KeySweepOptions extends SweepOptions {
  readonly metrics: Metrics;
  readonly wal: Pick<Wal, 'forgetKeys'>;
  readonly disks: Pick<Disks, 'knownMs' | 'store'>;
  /** The checkpoint position, from which a restart would replay. */
  readonly checkpointPosition: () => Position;
}

export function createKeySweep(options: KeySweepOptions): Sweep {
  const sweep = new KeySweep(options);
  return createSweep(options, {
    pauseMs: REST_MS,
    delayed: 'idempotency records not expired, disk full',
    run: (stopped) => sweep.run(stopped),
  });
}

class KeySweep {
  private readonly options: KeySweepOptions;
  private readonly counted;

  constructor(options: KeySweepOptions) {
    this.options = options;
    this.counted = options.metrics.counter({
      name: 'tidal_idempotency_keys_forgotten_total',
      help: 'Idempotency keys forgotten because their seven days were over.',
    });
  }

  /**
   * Events accepted before this time have no duplicate that may still arrive within their seven days; undefined if that is
   * unknown.
   */
  private get beforeMs(): number | undefined {
    const { knownMs } = this.options.disks;
    return knownMs === undefined ? undefined : knownMs - KEY_KEPT_MS - SET_BACK_MS;
  }

  async run(stopped: AbortSignal): Promise<void> {
    const forgotten = await this.walk(stopped);
    if (forgotten > 0) this.options.log.info('idempotency records expired', { keys: forgotten });
  }

  /** Through all keys once, a step a second. */
  private async walk(stopped: AbortSignal): Promise<number> {
    const { clock, wal, disks, checkpointPosition } = this.options;
    let total = 0;
    let from: string | undefined;
    do {
      await sleep(clock, STEP_MS, stopped);
      const { beforeMs } = this;
      if (stopped.aborted) break;
      if (beforeMs === undefined) continue;
      this.options.turns?.mark('trim');
      if (from === undefined) await disks.store();
      const step = { from, limit: STEP_ROWS, limitBytes: STEP_BYTES };
      const { next, forgotten } = await wal.forgetKeys({ ...step, beforeMs, upTo: checkpointPosition() });
      this.counted.inc(forgotten);
      total += forgotten;
      from = next;
      if (next === undefined) break;
    } while (!stopped.aborted);
    return total;
  }
}
