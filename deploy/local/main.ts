/** `npm start`, and the image's `cluster`: the whole cluster on this machine until Ctrl+C. */
import { join } from 'node:path';
import { packageRoot } from '../../shared/config/settings-table.ts';
import { launchUntilAsked } from './run.ts';

const built = (path: string): string => join(packageRoot, 'dist', path);
await launchUntilAsked({
  programs: {
    natsGuard: built('deploy/local/nats-guard.js'),
    region: built('services/region/main.js'),
    router: built('services/router/main.js'),
  },
  marker: 'deploy/local/main',
});
