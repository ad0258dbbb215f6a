/** The region process with a wall clock that can be set wrong while it runs (`stepped-clock.ts`). */

import { loadRegionConfig } from '../../../services/region/region-config.ts';
import { startRegion } from '../../../services/region/start-region.ts';
import { runService } from '../../../shared/kernel/lifecycle.ts';
import { systemClock } from '../../../shared/kernel/system.ts';
import { createLog } from '../../../shared/observe/log.ts';
import { steppedClock } from './stepped-clock.ts';

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const config = loadRegionConfig();
  const log = createLog({ name: config.region, level: config.logLevel, clock: systemClock });
  await runService({ log, start: () => startRegion({ config, log, clock: steppedClock(log) }) });
}
