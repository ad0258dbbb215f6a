/** The launcher with stand-ins for the region and the router. */
import { launchUntilAsked } from '../../../deploy/local/run.ts';

process.umask(0o077);
const path = (name: string): string => new URL(name, import.meta.url).pathname;
const service = path('./fake-service.js');
await launchUntilAsked({
  programs: {
    natsGuard: path('../../../deploy/local/nats-guard.js'),
    region: service,
    router: service,
    environment: ['FAKE_JOURNAL', 'FAKE_EXIT'],
  },
  marker: 'fake-launcher',
});
