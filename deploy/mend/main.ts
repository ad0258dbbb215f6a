/** `npm run mend`: removes events from the future from the windows of a region that does not run. */
import { resolve } from 'node:path';
import { loadSchema } from '../../services/region/schema/parse-schema.ts';
import { createLmdbStoreHome } from '../../services/region/store/lmdb-store-home.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { systemClock as clock, systemRandom as random } from '../../shared/kernel/system.ts';
import { createLog } from '../../shared/observe/log.ts';
import { argumentsOf, leaveWith, required, say } from '../backup/command.ts';
import { storeDirectory } from '../backup/data-dir.ts';
import { mendStore } from './mend-store.ts';

const help = `npm run mend -- --data-dir DIR --schema FILE [--up-to TIME]

Removes events after a given time from the windows, the decay and the creation times of a stopped region: events that were
accepted under a wrong clock. Sums of all time and counts stay. Run it for one region that has all events, start that region and
promote it; the others adopt its state by themselves. See the runbook, "Events from the future".

  --data-dir  the region's data directory
  --schema    the region's schema file
  --up-to     the last time that is not the future, as 2026-01-31T12:00:00Z; default now, by this machine's clock

Exit code 0: done. 1: it failed; run it again. 2: invalid arguments.
`;

const text = { type: 'string' } as const;

await leaveWith('mend', async () => {
  const given = argumentsOf(process.argv.slice(2), { 'data-dir': text, schema: text, 'up-to': text } as const);
  if (given === undefined) return say(help);
  const path = resolve(required(given, 'data-dir'));
  if (storeDirectory(path) === undefined) throw new ConfigError(`${path} holds no store`);
  const schema = loadSchema(resolve(required(given, 'schema')));
  const upToMs = given['up-to'] === undefined ? clock.nowMs() : Date.parse(required(given, 'up-to'));
  if (!(upToMs >= 0 && upToMs <= clock.nowMs()))
    throw new ConfigError('--up-to must be a time that is not in the future');
  const store = createLmdbStoreHome({ path, clock }).open();
  try {
    const log = createLog({ name: 'mend', level: 'warn', clock });
    const report = await mendStore({ store, clock, random, log, schema, upToMs });
    say(
      `${path}: ${report.pairs} pairs and ${report.items} items had something after ${new Date(report.upToMs).toISOString()}`,
    );
    if (report.mended === undefined) say('nothing was changed');
    else say(`mended for the ${report.mended.count}. time: ${report.mended.id}`);
  } finally {
    await store.close();
  }
});
