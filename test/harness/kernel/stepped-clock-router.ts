/** The router process with a wall clock that can be set wrong while it runs (`stepped-clock.ts`). */

import { loadRouterConfig } from '../../../services/router/router-config.ts';
import { startRouter } from '../../../services/router/start-router.ts';
import { runService } from '../../../shared/kernel/lifecycle.ts';
import { systemClock } from '../../../shared/kernel/system.ts';
import { createLog } from '../../../shared/observe/log.ts';
import { steppedClock } from './stepped-clock.ts';

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const config = loadRouterConfig();
  const log = createLog({ name: 'router', level: config.logLevel, clock: systemClock });
  await runService({ log, start: () => startRouter({ config, log, clock: steppedClock(log) }) });
}
