/** `npm start`, and the image's `cluster`: the whole cluster on this machine until Ctrl+C. */
import '../../shared/kernel/ending.ts';
import { join } from 'node:path';

// Whatever is written is its owner's: a database, backups, secrets.
process.umask(0o077);
// Modules that take long to load are imported after the signal handlers are installed.
const { packageRoot } = await import('../../shared/config/settings-table.ts');
const { launchUntilAsked } = await import('./run.ts');

const built = (path: string): string => join(packageRoot, 'dist', path);
await launchUntilAsked({
  programs: {
    natsGuard: built('deploy/local/nats-guard.js'),
    region: built('services/region/main.js'),
    router: built('services/router/main.js'),
  },
  marker: 'deploy/local/main',
});
