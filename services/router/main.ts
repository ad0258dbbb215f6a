/** The router process: joins configuration, log, the control key in NATS and HTTP links to the regions. */
import { loadRouterConfig } from '../../shared/config/router-config.ts';
import { runService } from '../../shared/kernel/lifecycle.ts';
import { createLog } from '../../shared/observe/log.ts';
import { startRouter } from './start-router.ts';

const config = loadRouterConfig();
const log = createLog({ name: 'router', level: config.logLevel });

await runService({ log, start: () => startRouter({ config, log }) });
