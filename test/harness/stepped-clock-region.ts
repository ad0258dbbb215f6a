/**
 * The region process with a wall clock that is off by the milliseconds in the file TIDAL_TEST_CLOCK_FILE: read at the start
 * and again at each SIGUSR2, as when somebody sets the clock of a running machine. Durations are not affected.
 */
import { existsSync, readFileSync } from 'node:fs';
import { startRegion } from '../../services/region/start-region.ts';
import { loadRegionConfig } from '../../shared/config/region-config.ts';
import type { Clock } from '../../shared/kernel/kernel.ts';
import { runService } from '../../shared/kernel/lifecycle.ts';
import { systemClock } from '../../shared/kernel/system.ts';
import { createLog } from '../../shared/observe/log.ts';

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const file = process.env.TIDAL_TEST_CLOCK_FILE ?? '';
  const read = (): number => (existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0);
  let offMs = read();
  const clock: Clock = {
    nowMs: () => systemClock.nowMs() + offMs,
    monotonicMs: () => systemClock.monotonicMs(),
    after: (delayMs, action) => systemClock.after(delayMs, action),
  };
  const config = loadRegionConfig();
  const log = createLog({ name: config.region, level: config.logLevel, clock: systemClock });
  process.on('SIGUSR2', () => {
    offMs = read();
    log.info('the clock was set', { off_ms: offMs });
  });
  await runService({ log, start: () => startRegion({ config, log, clock }) });
}
