/**
 * A wall clock that is off by the milliseconds in the file TIDAL_TEST_CLOCK_FILE: read at the start and again at each SIGUSR2, as
 * when an operator sets the clock of a running machine. Durations are not affected.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { systemClock } from '../../../shared/kernel/system.ts';
import type { Log } from '../../../shared/observe/log.ts';

export function steppedClock(log: Log): Clock {
  const file = process.env.TIDAL_TEST_CLOCK_FILE ?? '';
  const read = (): number => (existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0);
  let offMs = read();
  process.on('SIGUSR2', () => {
    offMs = read();
    log.info('the clock was set', { off_ms: offMs });
  });
  return {
    nowMs: () => systemClock.nowMs() + offMs,
    monotonicMs: () => systemClock.monotonicMs(),
    after: (delayMs, action) => systemClock.after(delayMs, action),
  };
}
