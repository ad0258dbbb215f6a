/** The region process. */

import { runService, STOP_LIMIT_MS } from '../../shared/kernel/lifecycle.ts';
import { configured } from '../../shared/kernel/refused.ts';
import { systemClock } from '../../shared/kernel/system.ts';

// Whatever is written is its owner's: a database, backups, secrets.
process.umask(0o077);
// Modules that take long to load are imported after the signal handlers are installed.
const { loadRegionConfig } = await import('./region-config.ts');
const { createLog } = await import('../../shared/observe/log.ts');
const config = await configured(loadRegionConfig);
const log = createLog({ name: config.region, level: config.logLevel, clock: systemClock });
const { startRegion } = await import('./start-region.ts');

await runService({
  log,
  start: () => startRegion({ config, log }),
  stopLimitMs: STOP_LIMIT_MS + config.handOverMs,
});
