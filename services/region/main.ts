/** The region process. */
import { loadRegionConfig } from '../../shared/config/region-config.ts';
import { runService } from '../../shared/kernel/lifecycle.ts';
import { createLog } from '../../shared/observe/log.ts';
import { startRegion } from './start-region.ts';

const config = loadRegionConfig();
const log = createLog({ name: config.region, level: config.logLevel });

await runService({ log, start: () => startRegion({ config, log }) });
