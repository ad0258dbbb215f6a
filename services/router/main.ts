/** The router process: joins configuration, log, the control key in NATS and HTTP links to the regions. */

import { runService, STOP_LIMIT_MS } from '../../shared/kernel/lifecycle.ts';
import { configured } from '../../shared/kernel/refused.ts';
import { systemClock } from '../../shared/kernel/system.ts';

// Whatever is written is its owner's: a database, backups, secrets.
process.umask(0o077);
// Modules that take long to load are imported after the signal handlers are installed.
const { loadRouterConfig } = await import('./router-config.ts');
const { createLog } = await import('../../shared/observe/log.ts');
const config = await configured(loadRouterConfig);
const log = createLog({ name: 'router', level: config.logLevel, clock: systemClock });
const { startRouter } = await import('./start-router.ts');

await runService({
  log,
  start: () => startRouter({ config, log }),
  stopLimitMs: STOP_LIMIT_MS + config.drainMs,
});
