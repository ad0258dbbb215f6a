/**
 * The region process with a bomb: after SIGUSR2 it kills itself (SIGKILL) the next time it passes the step of the write
 * path named by TIDAL_TEST_CRASH_AT. Store and stream are the real ones, wrapped.
 */

import { loadRegionConfig } from '../../../services/region/region-config.ts';
import { startRegion } from '../../../services/region/start-region.ts';
import type { Store } from '../../../services/region/store/store.ts';
import { runService } from '../../../shared/kernel/lifecycle.ts';
import { systemClock } from '../../../shared/kernel/system.ts';
import { createLog } from '../../../shared/observe/log.ts';
import type { Stream } from '../../../shared/stream/stream.ts';

/** The steps of the write path, in the order of effects. */
export const crashPoints = [
  'before the commit',
  'within the transaction',
  'after the flush, before anything acts on it',
  'before the publish',
  'after the publish, before its acknowledgement is seen',
] as const;
export type CrashPoint = (typeof crashPoints)[number];

let armed = false;

function pass(point: CrashPoint): void {
  if (armed && process.env.TIDAL_TEST_CRASH_AT === point) process.kill(process.pid, 'SIGKILL');
}

function wrapStore(store: Store): Store {
  return {
    get: (table, key) => store.get(table, key),
    range: (table, options) => store.range(table, options),
    async commit(work) {
      let writesBatch = false;
      // Marks are stored too; only a commit that puts a batch is a step of the write path.
      await store.commit((transaction) => {
        work({
          get: (table, key) => transaction.get(table, key),
          put(table, key, value) {
            if (table === 'batches') {
              pass('before the commit');
              writesBatch = true;
            }
            transaction.put(table, key, value);
            if (table === 'batches') pass('within the transaction');
          },
          remove: (table, key) => transaction.remove(table, key),
        });
      });
      if (writesBatch) pass('after the flush, before anything acts on it');
    },
    sizes: () => store.sizes(),
    count: (table) => store.count(table),
    bytes: (table) => store.bytes(table),
    close: () => store.close(),
  };
}

function wrapStream(stream: Stream): Stream {
  return {
    get connected() {
      return stream.connected;
    },
    get messageLimitBytes() {
      return stream.messageLimitBytes;
    },
    onConnection: (listener) => stream.onConnection(listener),
    ensure: () => stream.ensure(),
    checkSettings: (mend) => stream.checkSettings(mend),
    info: () => stream.info(),
    message: (sequence) => stream.message(sequence),
    lastOf: (origin) => stream.lastOf(origin),
    async publish(origin, bytes, expectedLast, mac) {
      pass('before the publish');
      const result = await stream.publish(origin, bytes, expectedLast, mac);
      pass('after the publish, before its acknowledgement is seen');
      return result;
    },
    subscribe: (options) => stream.subscribe(options),
  };
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const config = loadRegionConfig();
  const log = createLog({ name: config.region, level: config.logLevel, clock: systemClock });
  process.on('SIGUSR2', () => {
    armed = true;
    log.info('armed');
  });
  await runService({ log, start: () => startRegion({ config, log, wrapStore, wrapStream }) });
}
