/** A tiny service run as a real process, to watch how `runService` leaves. `mode` says what goes wrong. */
import { once } from 'node:events';
import { ConfigError } from '../../../shared/errors/config-error.ts';
import { runService } from '../../../shared/kernel/lifecycle.ts';
import { systemClock } from '../../../shared/kernel/system.ts';
import { createLog } from '../../../shared/observe/log.ts';

const mode = process.argv[2] ?? '';
const log = createLog({ name: 'sample', level: 'debug', clock: systemClock });
await runService({
  log,
  stopLimitMs: mode === 'hands-over' ? 20_000 : 200,
  start: async () => {
    if (mode === 'slow-start') {
      log.info('started');
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    }
    if (mode === 'bad-config') throw new ConfigError('the port is taken');
    if (mode === 'bad-start') throw new Error('no disk');
    const alive = setInterval(() => {}, 1_000);
    if (mode === 'rejects') void Promise.reject(new Error('forgotten'));
    if (mode === 'throws')
      setImmediate(() => {
        throw new Error('invariant');
      });
    log.info('started');
    return {
      async stop(together: AbortSignal) {
        clearInterval(alive);
        if (mode === 'hands-over') {
          log.info('handover started');
          if (!together.aborted) await once(together, 'abort');
          log.info('hurried');
        }
        if (mode === 'never-stops') await new Promise(() => {});
      },
    };
  },
});
